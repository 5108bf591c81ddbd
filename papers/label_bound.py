"""The greatest mean IU that coarse scores can reach (CVPR paper, appendix A; PAMI paper §6).

Label maps are made smaller by a factor and larger again; what is then wrong could not be right at
that stride, whatever the net. No net is used. Three ways down and up: the label at each cell's
centre, the most frequent one, both spread over the cell; and the most frequent one enlarged as FCN
does, by bilinear interpolation of one map per class.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import numpy as np

import score
from data import toy
from fcn import plots
from fcn.catalog import IGNORE
from papers import _common, datasets

FACTORS = (128, 64, 32, 16, 8, 4, 2)
WAYS = ("centre", "most frequent", "most frequent, bilinear")


def centres(label, factor):
    """The label at each cell's centre (h, w), of its lower right middle; a border's cell takes the
    most frequent class in it, for ignored pixels are no prediction."""
    rows, columns = (np.minimum(np.arange(0, n, factor) + factor // 2, n - 1) for n in label.shape)
    found = label[np.ix_(rows, columns)]
    if (found == IGNORE).any():
        found = np.where(found == IGNORE, frequent(label, factor, int(_most(label)) + 1), found)
    return found


def frequent(label, factor, classes):
    """The most frequent class of each cell (h, w), the lowest of several; 0 if all is ignored."""
    rows, columns = (np.arange(0, n, factor) for n in label.shape)
    counts = [
        np.add.reduceat(np.add.reduceat(label == c, rows, 0, np.int64), columns, 1)
        for c in range(classes)
    ]
    return np.argmax(counts, 0)


def spread(coarse, factor, shape):
    """Each cell's class over its pixels: (H, W)."""
    return coarse.repeat(factor, 0).repeat(factor, 1)[: shape[0], : shape[1]]


def interpolated(coarse, factor, shape, classes):
    """The greatest of the classes' maps, each enlarged by bilinear interpolation: (H, W)."""
    down, across = (_weights(size, cells, factor) for size, cells in zip(shape, coarse.shape))
    maps = [down @ (coarse == c).astype(np.float64) @ across.T for c in range(classes)]
    return np.argmax(np.round(maps, 9), 0)


def _weights(size, cells, factor):
    """The matrix (size, cells) of linear interpolation between the cells' centres."""
    place = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    matrix = np.zeros((size, cells))
    matrix[np.arange(size), low] = 1 - (place - low)
    if cells > 1:
        matrix[np.arange(size), low + 1] = place - low
    return matrix


def _most(label):
    """The greatest class number."""
    return max([int(v) for v in np.unique(label) if v != IGNORE] or [0])


def bound(labels, classes, factor):
    """Mean IU by way, of label maps against themselves made smaller and larger."""
    hists = {way: np.zeros((classes, classes), np.int64) for way in WAYS}
    for label in labels:
        most = frequent(label, factor, classes)
        for way, found in (
            ("centre", spread(centres(label, factor), factor, label.shape)),
            ("most frequent", spread(most, factor, label.shape)),
            ("most frequent, bilinear", interpolated(most, factor, label.shape, classes)),
        ):
            hists[way] += score.fast_hist(label, found, classes)
    return {way: score.metrics(hist).mean_iu for way, hist in hists.items()}


def main(argv=None):
    args = _common.arguments(__doc__, {}, argv, camvid=True)
    record = _common.Record(
        "label_bound",
        "The upper bound on mean IU from coarse labels",
        "CVPR paper, appendix A; PAMI paper §6",
        args,
    )
    sets = (
        ("CamVid", datasets.camvid_labels(args.camvid, args.quick), 11),
        ("generated", datasets.generated_labels(args.out, args.quick), len(toy.CLASSES)),
    )
    factors = (8, 2) if args.quick else FACTORS
    found = {
        name: [bound(labels, classes, factor) for factor in factors]
        for name, labels, classes in sets
    }
    names = [(name, way) for name, _, _ in sets for way in WAYS]
    record.table(
        ["factor"] + [f"{name}: {way}" for name, way in names],
        [
            [str(factor)] + [f"{100 * found[name][i][way]:.1f}" for name, way in names]
            for i, factor in enumerate(factors)
        ],
        "Mean IU, %: {}".format(
            ", ".join(
                "{}, {} val images of {}×{}".format(name, len(labels), *labels[0].shape[::-1])
                for name, labels, _ in sets
            )
        ),
    )
    record.plot(
        "label_bound",
        [
            plots.Panel(
                title,
                "factor",
                "mean IU",
                [
                    plots.Curve(
                        way, factors[::-1], [each[way] for each in found[title]][::-1], markers=True
                    )
                    for way in WAYS
                ],
                ylim=(0, 1),
                log=True,
            )
            for title, _, _ in sets
        ],
        "The bound on mean IU over the factor",
    )
    record.raw.update(factors=list(factors), bounds=found)
    record.write()


if __name__ == "__main__":
    main()
