"""Class balancing by weights in the loss (CVPR paper §4.3).

InfogainLoss with a diagonal matrix weighs each pixel's loss by its class: the weight is the median
share of a class over its own share, as far as 10. The paper finds it unnecessary for PASCAL VOC,
where three quarters are background.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import numpy as np

import caffe
from fcn import plots
from fcn.catalog import IGNORE
from papers import _common, _training, datasets, edits

STEPS = 300
MOST = 10.0


def shares(small):
    """The share of each class in the labelled pixels of the training images."""
    source = small.dataset.train
    module = __import__(source.module)
    kind = getattr(module, source.layer)
    counts = np.zeros(256, np.int64)
    reader = kind.read_label
    for _, label in kind.list_entries(None, dict(source.params)):
        counts += np.bincount(reader(label).ravel(), minlength=256)
    counts[IGNORE] = 0
    return counts[: small.dataset.classes] / counts.sum()


def weights(shares):
    """Median share over own share, at most MOST; 1 for a class that never comes."""
    seen = shares[shares > 0]
    return np.where(shares > 0, np.minimum(np.median(seen) / np.maximum(shares, 1e-9), MOST), 1.0)


def write_matrix(path, diagonal):
    """A BlobProto file of 1×1×K×K values."""
    matrix = np.diag(diagonal).astype(np.float32)[None, None]
    with open(path, "wb") as f:
        f.write(caffe.io.array_to_blobproto(matrix).SerializeToString())
    return path


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv, camvid=True)
    record = _common.Record(
        "class_balancing", "Class balancing by weights", "CVPR paper §4.3", args
    )
    panels = []
    for name, small in (
        ("CamVid", datasets.shrunk_camvid(args.camvid, args.out, args.quick)),
        ("generated pictures", datasets.generated(args.out, args.quick)),
    ):
        share = shares(small)
        diagonal = weights(share)
        path = write_matrix(os.path.join(args.out, f"{name.split()[0]}.binaryproto"), diagonal)
        variants = [
            _training.Variant(
                f"{name}: {label}",
                _training.row("toy-fcn8s", small),
                STEPS,
                0.05,
                change,
                batch=4,
                every=STEPS // 4,
            )
            for label, change in (("all alike", None), ("weighted", edits.weighted_loss(path)))
        ]
        runs = _training.train_all(variants, args.seeds, small, args)
        record.table(
            *_training.measures(runs),
            caption=(
                f"{name[0].upper() + name[1:]}, toy-fcn8s from the fillers, {args.seeds} runs each "
                f"of {STEPS} steps, %, mean (least–most)"
            ),
        )
        _add_classes(record, name, small, share, diagonal, runs)
        panels.append(
            plots.Panel(
                name,
                "iteration",
                "mean IU of val",
                [
                    curve._replace(label=curve.label.split(": ")[1])
                    for curve in _training.curves(runs, "mean_iu")
                ],
            )
        )
        record.raw.update(_training.raw(runs))
    record.plot("class_balancing", panels, "Mean IU of val with and without weights")
    record.write()


def _add_classes(record, name, small, share, diagonal, runs):
    """IU of each class, mean over the runs, beside its share and weight."""
    names = __import__("data." + small.dataset.name, fromlist=["CLASSES"]).CLASSES
    rows = []
    for i, title in enumerate(names):
        cells = [title, f"{100 * share[i]:.1f}", f"{diagonal[i]:.2f}"]
        for several in runs.values():
            ious = [_iu(run.hist, i) for run in several]
            cells.append("–" if np.isnan(ious).any() else f"{100 * np.mean(ious):.1f}")
        rows.append(cells)
    record.table(
        [name, "share, %", "weight", "IU, all alike", "IU, weighted"], rows, "IU of each class, %"
    )


def _iu(hist, i):
    union = hist[i].sum() + hist[:, i].sum() - hist[i, i]
    return hist[i, i] / union if union else float("nan")


if __name__ == "__main__":
    main()
