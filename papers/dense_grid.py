"""The dense grid of a convolutional classifier against single crops (CVPR paper §3.1).

CaffeNet, made convolutional, gives the scores of 10×10 places of a 500×500 image in one pass; the
classifier itself needs a pass for each crop of 227×227. The paper finds the one pass more than five
times as fast. Weights are random: neither times nor equality depend on what they are.

Are the scores the same? A crop ends where its padding of zeros begins, and the dense net sees the
image go on there: so no, not for crops as they are. What a place of the dense net depends on is
355×355 pixels (table 1's receptive field), and all its padding takes up the 64 pixels on each side
that go beyond the crop. So the classifier without padding, on crops of 355×355, is what the dense
net equals wherever those lie within the image.
"""

import os
import sys
import time
from collections import OrderedDict

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("GLOG_minloglevel", "2")
import numpy as np

import caffe
from fcn.classifiers.catalog import classifier
from fcn.geometry import facts
from fcn.random_weights import fill, narrowed, unpadded
from nets.convolutionize import pair, scores
from papers import _common

BATCH = 10


def seconds(run, repeats, clock):
    """(the shortest of a few runs, what the last returned): what disturbs only ever adds."""
    found = []
    for _ in range(repeats):
        began = clock()
        result = run()
        found.append(clock() - began)
    return min(found), result


def start(args):
    """Choose the device; (clock, what it counts). On the CPU that is this process's own time, so
    that whatever else runs on the machine does not count."""
    if args.gpu is None:
        return time.process_time, "processor seconds"
    caffe.set_device(args.gpu)
    caffe.set_mode_gpu()
    return time.perf_counter, "seconds"


def cut(image, row, column, size):
    """A crop 1×3×size×size; what lies beyond the image is zero, the mean colour."""
    found = np.zeros((1, image.shape[1], size, size), np.float32)
    inside = image[:, :, row : row + size, column : column + size]
    found[:, :, : inside.shape[2], : inside.shape[3]] = inside
    return found


def agreement(dense, single):
    """(largest difference as a share of the largest score, share of places with the same best)."""
    dense, single = np.asarray(dense), np.asarray(single)
    return (
        float(np.abs(dense - single).max() / np.abs(single).max()),
        float((dense.argmax(1) == single.argmax(1)).mean()),
    )


def equality(param, image, grid):
    """[(places, compared with, how many, difference, same best)] for C×G×G scores `grid`."""
    rows = facts.walk(param)
    crop, field = param.layer[0].input_param.shape[0].dim[2], int(rows[-1].blob.field)
    stride, margin, size = 32, (field - crop) // 2, image.shape[2]
    nets = {"plain": pair(param, fill).plain, "wide": pair(unpadded(param, field), fill).plain}
    blob = rows[-1].bottoms[0]
    found = {"inner": ([], []), "whole": ([], []), "cut": ([], [])}
    for i in range(grid.shape[1]):
        for j in range(grid.shape[2]):
            y, x = stride * i, stride * j
            kind = "whole" if max(y, x) + crop <= size else "cut"
            found[kind][0].append(grid[:, i, j])
            found[kind][1].append(scores(nets["plain"], cut(image, y, x, crop), blob).ravel())
            if min(y, x) >= margin and max(y, x) + crop + margin <= size:
                wide = cut(image, y - margin, x - margin, field)
                found["inner"][0].append(grid[:, i, j])
                found["inner"][1].append(scores(nets["wide"], wide, blob).ravel())
    what = (
        ("inner", f"{field}×{field} within the image", f"crops of {field}×{field}, no padding"),
        ("whole", f"{crop}×{crop} within the image", f"crops of {crop}×{crop}, padded"),
        ("cut", "the others, at two edges", f"crops of {crop}×{crop}, the rest zero"),
    )
    return [
        (places, against, len(found[kind][0])) + agreement(*found[kind])
        for kind, places, against in what
        if found[kind][0]
    ]


def times(nets, image, count, repeats, clock):
    """{way: seconds} for the scores of count×count places."""
    crop = nets.plain.blobs["data"].data.shape[2]
    crops = np.concatenate(
        [cut(image, 32 * i, 32 * j, crop) for i in range(count) for j in range(count)]
    )

    def by(batch):
        for first in range(0, len(crops), batch):
            scores(nets.plain, crops[first : first + batch], nets.scores[0])

    ways = (
        ("one dense pass", lambda: scores(nets.dense, image, nets.scores[1]), repeats),
        ("a pass for each crop", lambda: by(1), max(1, repeats // 3)),
        (f"crops in batches of {BATCH}", lambda: by(BATCH), max(1, repeats // 3)),
    )
    return OrderedDict((name, seconds(way, times, clock)[0]) for name, way, times in ways)


def work(param, dense, size, count):
    """Multiply-adds of count² crops over those of one dense pass."""

    def macs(net, sizes):
        return sum(row.macs for row in facts.walk(net, sizes))

    shape = list(param.layer[0].input_param.shape[0].dim)
    return (
        count**2
        * macs(param, {"data": [1] + shape[1:]})
        / macs(dense, {"data": [1, shape[1], size, size]})
    )


def main(argv=None):
    args = _common.arguments(__doc__, {}, argv)
    clock, unit = start(args)
    record = _common.Record(
        "dense_grid", "One dense pass against single crops", "CVPR paper §3.1", args
    )
    param = classifier("caffenet").build("deploy")
    param = narrowed(param, 16) if args.quick else param
    size = 387 if args.quick else 500
    image = np.random.RandomState(0).uniform(-120, 135, (1, 3, size, size)).astype(np.float32)
    nets = pair(param, fill)
    grid = scores(nets.dense, image, nets.scores[1])[0]
    count = grid.shape[1]
    compared = equality(param, image, grid)
    record.table(
        ["places that see", "compared with", "places", "largest difference", "same best class"],
        [
            [a, b, str(n), f"{difference:.2g}", f"{100 * same:.0f} %"]
            for a, b, n, difference, same in compared
        ],
        f"Scores of {count}×{count} places of a {size}×{size} image, dense against single crops; "
        "the difference is a share of the largest score",
    )
    found = times(nets, image, count, 1 if args.quick else 6, clock)
    once = found["one dense pass"]
    ratio = work(param, nets.param, size, count)
    record.table(
        ["way", unit, "milliseconds a place", "times the dense pass"],
        [
            [way, f"{t:.3f}", f"{1000 * t / count**2:.2f}", f"{t / once:.1f}"]
            for way, t in found.items()
        ],
        f"Time for {count}×{count} places, the best of several runs; the crops take "
        f"{ratio:.1f} times the multiply-adds of the dense pass",
    )
    record.raw.update(
        size=size,
        grid=count,
        equality=[list(row) for row in compared],
        seconds=found,
        multiply_adds=ratio,
    )
    record.write()


if __name__ == "__main__":
    main()
