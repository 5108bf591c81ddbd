"""Compare layers with OpenCV's Caffe importer, the second oracle: random nets of one layer.

    python tests/oracle/opencv_layers.py [TYPE ...] [--cases 40]

BVLC Caffe cannot say what the layers of forks compute; OpenCV 4 can for many of them
(cv2.dnn.readNetFromCaffe; OpenCV 5 has no importer). Each case is a prototxt, its caffemodel with
random parameters, and random inputs; both programs read the same files. Prints a row a type, with
the largest difference relative to the largest value, and fails if one is above TOLERANCE.

To add a type: a function in this file, `@cases("Type")`, from a numpy.random.Generator to a Case.
Whatever is not drawn because OpenCV cannot read it, or computes something else, is said there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from typing import NamedTuple

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np

import caffe

TOLERANCE = 1e-4
CASES = {}  # type -> from a generator to a Case


class Case(NamedTuple):
    """Layers in prototxt, and the arrays of the inputs by name."""

    layers: str
    inputs: dict
    exact_rows: bool = False  # the tops are detections: rows whose order may differ
    opencv: str | None = None  # its own layers, where OpenCV has other words for them
    padded: bool = False  # OpenCV's top ends with rows of zeros


def cases(type_name):
    def add(function):
        CASES[type_name] = function
        return function

    return add


def yes(rng):
    return "true" if rng.integers(2) else "false"


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def size(rng, low=2, high=9):
    return tuple(int(n) for n in rng.integers(low, high, 2))


@cases("Normalize")
def normalize(rng):
    # OpenCV refuses one scale a channel with one norm an item.
    across, shared = [("true", "true"), ("false", "true"), ("false", "false")][rng.integers(3)]
    shape = (int(rng.integers(1, 3)), int(rng.integers(1, 6)), *size(rng))
    return Case(
        f"""layer {{ name: "n" type: "Normalize" bottom: "x" top: "y" norm_param {{
            across_spatial: {across} channel_shared: {shared} eps: {10.0 ** rng.integers(-10, 0)}
            scale_filler {{ type: "uniform" min: -3 max: 3 }} }} }}""",
        {"x": normal(rng, *shape)},
    )


@cases("Permute")
def permute(rng):
    order = rng.permutation(4)
    # OpenCV wants all axes named.
    return Case(
        f"""layer {{ name: "p" type: "Permute" bottom: "x" top: "y"
            permute_param {{ {" ".join(f"order: {a}" for a in order)} }} }}""",
        {"x": normal(rng, *(int(n) for n in rng.integers(1, 6, 4)))},
    )


@cases("Flatten")
def flatten(rng):
    first = int(rng.integers(1, 4))  # from 0 on OpenCV adds an axis: it has no arrays of one axis
    last = int(rng.integers(first, 4)) - int(rng.choice([0, 4]))
    return Case(
        f"""layer {{ name: "f" type: "Flatten" bottom: "x" top: "y"
            flatten_param {{ axis: {first} end_axis: {last} }} }}""",
        {"x": normal(rng, *(int(n) for n in rng.integers(1, 6, 4)))},
    )


@cases("ReLU6")
def relu6(rng):
    shape = (1, 3, *size(rng))
    return Case(
        'layer { name: "r" type: "ReLU6" bottom: "x" top: "y" }', {"x": 5 * normal(rng, *shape)}
    )


@cases("PriorBox")
def prior_box(rng):
    # Sizes are whole numbers: SSD cuts fractions off, OpenCV keeps them. OpenCV wants variances,
    # and ignores img_size, img_h and img_w.
    count = int(rng.integers(1, 4))
    low = rng.integers(3, 40, count)
    words = [f"min_size: {n}" for n in low]
    if rng.integers(2):
        words += [f"max_size: {n}" for n in low + rng.integers(1, 40, count)]
    ratios = rng.choice([1.0, 2.0, 3.0, 0.5, 1 / 3, 2.5], int(rng.integers(0, 4)), replace=False)
    words += [f"aspect_ratio: {ratio:.9g}" for ratio in ratios]
    words += [f"flip: {yes(rng)} clip: {yes(rng)}"]
    words += [f"variance: {v:.3f}" for v in rng.uniform(0.05, 0.3, rng.choice([1, 4]))]
    if rng.integers(2):
        words += ["step: 8"] if rng.integers(2) else ["step_h: 7.5 step_w: 9"]
    if rng.integers(2):
        words += [f"offset: {rng.uniform(0, 1):.3f}"]
    elif rng.integers(2):
        for _ in range(rng.integers(1, 3)):  # of three centres OpenCV makes a top for four
            words += [f"offset_{axis}: {rng.uniform(0, 1):.3f}" for axis in "hw"]
    return Case(
        f"""layer {{ name: "p" type: "PriorBox" bottom: "x" bottom: "image" top: "y"
            prior_box_param {{ {" ".join(words)} }} }}""",
        {"x": normal(rng, 1, 4, *size(rng, 1, 6)), "image": normal(rng, 1, 3, *size(rng, 20, 90))},
    )


@cases("DetectionOutput")
def detection_output(rng):
    n, classes, k = int(rng.integers(1, 3)), int(rng.integers(2, 5)), int(rng.integers(5, 60))
    shared = bool(rng.integers(2))
    low = rng.uniform(0, 0.7, (k, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.05, 0.3, (k, 2))], 1)
    variances = np.broadcast_to(rng.uniform(0.05, 0.3, 4), (k, 4))
    code = rng.choice(["CORNER", "CENTER_SIZE"])
    # OpenCV ignores eta and does not know CORNER_SIZE. With variance_encoded_in_target it
    # wants priors without the row of variances, which SSD's layer always has.
    in_target = bool(rng.integers(2))
    nms = f"nms_threshold: {rng.uniform(0.2, 0.8):.3f} top_k: {rng.integers(3, 60)}"
    scores = rng.dirichlet(np.ones(classes), (n, k)).reshape(n, -1)
    return Case(
        f"""layer {{ name: "d" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior"
            top: "y" detection_output_param {{ num_classes: {classes}
            share_location: {"true" if shared else "false"}
            background_label_id: {rng.integers(classes)} clip: {yes(rng)}
            nms_param {{ {nms} }} code_type: {code} keep_top_k: {rng.integers(5, 100)}
            variance_encoded_in_target: {"true" if in_target else "false"}
            confidence_threshold: {rng.uniform(0, 0.5):.3f} }} }}""",
        {
            "loc": normal(rng, n, k * 4 * (1 if shared else classes)) * np.float32(0.5),
            "conf": scores.astype(np.float32),
            "prior": np.stack([boxes, variances][: 1 if in_target else 2])
            .reshape(1, -1, 4 * k)
            .astype(np.float32),
        },
        exact_rows=True,
    )


@cases("DetectionOutput in pixels")
def detection_output_in_pixels(rng):
    # OpenCV's own form, of its files of Faster R-CNN and R-FCN; it wants the image as a bottom.
    classes, k = int(rng.integers(2, 5)), int(rng.integers(5, 40))
    height, width = (int(n) for n in rng.integers(40, 90, 2))
    low = rng.uniform(0, 30, (k, 2))
    boxes = np.concatenate([low, low + rng.uniform(3, 30, (k, 2))], 1)
    scores = rng.dirichlet(np.ones(classes), k)
    return Case(
        f"""layer {{ name: "d" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior"
            bottom: "image" top: "y" detection_output_param {{ num_classes: {classes}
            share_location: false background_label_id: 0 normalized_bbox: false clip: {yes(rng)}
            nms_param {{ nms_threshold: {rng.uniform(0.2, 0.8):.3f} top_k: {rng.integers(3, 60)} }}
            code_type: CENTER_SIZE keep_top_k: {rng.integers(5, 100)}
            variance_encoded_in_target: true
            confidence_threshold: {rng.uniform(0, 0.5):.3f} }} }}""",
        {
            "loc": normal(rng, 1, k * 4 * classes) * np.float32(0.3),
            "conf": scores.reshape(1, -1).astype(np.float32),
            "prior": boxes.reshape(1, 1, -1).astype(np.float32),
            "image": normal(rng, 1, 3, height, width),
        },
        exact_rows=True,
    )


def regions(rng, items, height, width, scale):
    """Regions of an image, some beyond its border: item, x1, y1, x2, y2."""
    corners = rng.uniform(-5, 5 + np.array([width, height]) / scale, (rng.integers(1, 9), 2, 2))
    item = rng.integers(0, items, len(corners))
    rows = np.column_stack([item, corners.min(1), corners.max(1)])
    return rows.astype(np.float32)


@cases("ROIPooling")
def roi_pooling(rng):
    # OpenCV gives 0 for windows whose maximum is 0 or less, so values are positive.
    n, c, (h, w) = int(rng.integers(1, 3)), int(rng.integers(1, 5)), size(rng, 3, 20)
    scale = rng.choice([1, 0.5, 0.125, 0.0625])
    ph, pw = size(rng, 1, 8)
    return Case(
        f"""layer {{ name: "r" type: "ROIPooling" bottom: "x" bottom: "rois" top: "y"
            roi_pooling_param {{ pooled_h: {ph} pooled_w: {pw} spatial_scale: {scale} }} }}""",
        {
            "x": rng.uniform(1, 2, (n, c, h, w)).astype(np.float32),
            "rois": regions(rng, n, h, w, scale),
        },
    )


@cases("PSROIPooling")
def psroi_pooling(rng):
    group, outputs, (h, w) = int(rng.integers(1, 5)), int(rng.integers(1, 4)), size(rng, 3, 20)
    scale = rng.choice([1, 0.5, 0.125, 0.0625])
    return Case(
        f"""layer {{ name: "r" type: "PSROIPooling" bottom: "x" bottom: "rois" top: "y"
            psroi_pooling_param {{ output_dim: {outputs} group_size: {group}
            spatial_scale: {scale} }} }}""",
        {"x": normal(rng, 1, outputs * group**2, h, w), "rois": regions(rng, 1, h, w, scale)},
    )


@cases("Proposal")
def proposal(rng):
    # OpenCV ignores min_size, and takes one image.
    (h, w), ratios, scales = size(rng, 4, 12), [0.5, 1, 2], [2, 4, 8]
    count = len(ratios) * len(scales)
    words = [f"ratio: {r}" for r in ratios] + [f"scale: {s}" for s in scales]
    words += [f"pre_nms_topn: {rng.integers(50, 600)} post_nms_topn: {rng.integers(5, 60)}"]
    words += [f"nms_thresh: {rng.uniform(0.3, 0.8):.3f} min_size: 0"]
    scores = rng.permutation(2 * count * h * w).reshape(1, -1, h, w) / (2 * count * h * w)
    return Case(
        f"""layer {{ name: "p" type: "Proposal" bottom: "s" bottom: "d" bottom: "i" top: "y"
            proposal_param {{ feat_stride: 16 base_size: 16 {" ".join(words)} }} }}""",
        {
            "s": scores.astype(np.float32),
            "d": normal(rng, 1, 4 * count, h, w) * np.float32(0.2),
            "i": np.array([[16 * h, 16 * w, 1]], np.float32),
        },
        padded=True,
    )


@cases("ShuffleChannel")
def shuffle_channel(rng):
    group = int(rng.integers(1, 5))
    return Case(
        f"""layer {{ name: "s" type: "ShuffleChannel" bottom: "x" top: "y"
            shuffle_channel_param {{ group: {group} }} }}""",
        {"x": normal(rng, int(rng.integers(1, 3)), group * int(rng.integers(1, 5)), *size(rng))},
    )


@cases("Reorg")
def reorg(rng):
    # OpenCV does not know reverse, and has another word for the stride.
    stride = int(rng.integers(1, 4))
    shape = (1, int(rng.integers(1, 4)) * stride**2, *(stride * n for n in size(rng, 1, 5)))
    text = (
        'layer {{ name: "r" type: "Reorg" bottom: "x" top: "y" reorg_param {{ {}: ' + f"{stride} "
    )
    text += "}} }}"
    return Case(
        text.format("stride"),
        {"x": normal(rng, *shape)},
        opencv=text.format("reorg_stride"),
    )


@cases("Axpy")
def axpy(rng):
    # SENet multiplies its second bottom; OpenCV the third, and takes one item.
    text = 'layer {{ name: "axpy" type: "Axpy" bottom: "a" bottom: "{}" bottom: "{}" top: "t" }}'
    shape = (1, int(rng.integers(1, 6)), *size(rng))
    return Case(
        text.format("x", "y"),
        {"a": normal(rng, *shape[:2], 1, 1), "x": normal(rng, *shape), "y": normal(rng, *shape)},
        opencv=text.format("y", "x"),
    )


@cases("Interp")
def interp(rng):
    # OpenCV takes shrink_factor for a zoom, and ignores pad_beg and pad_end.
    words = [f"zoom_factor: {rng.integers(1, 5)}", "height: {} width: {}".format(*size(rng, 1, 20))]
    return Case(
        f"""layer {{ name: "i" type: "Interp" bottom: "x" top: "y"
            interp_param {{ {words[rng.integers(2)]} }} }}""",
        {"x": normal(rng, 1, int(rng.integers(1, 4)), *size(rng))},
    )


@cases("Upsample")
def upsample(rng):
    # OpenCV's layer of the same task is MaxUnpool, with the size of the pooling.
    (h, w), (kh, kw), c = size(rng), size(rng, 1, 4), int(rng.integers(1, 5))
    mask = np.stack([rng.permutation(h * w * kh * kw)[: h * w] for _ in range(c)])
    start = 'layer {{ name: "u" type: "{}" bottom: "x" bottom: "m" top: "y" '
    pool = f"pool_k_h: {kh} pool_k_w: {kw} pool_stride_h: {kh} pool_stride_w: {kw}"
    return Case(
        start.format("Upsample") + f"upsample_param {{ scale_h: {kh} scale_w: {kw} }} }}",
        {"x": normal(rng, 1, c, h, w), "m": mask.reshape(1, c, h, w).astype(np.float32)},
        opencv=start.format("MaxUnpool")
        + f"max_unpool_param {{ {pool} pool_pad_h: 0 pool_pad_w: 0 }} }}",
    )


def depthwise(type_name):
    def case(rng):
        # OpenCV wants num_output and, of DepthwiseConvolution, group and its plain name.
        c, kernel = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        words = (
            f"kernel_size: {kernel} pad: {rng.integers(0, kernel)} stride: {rng.integers(1, 3)} "
        )
        words += f"num_output: {c} bias_term: {yes(rng)} "
        text = 'layer {{ name: "c" type: "{}" bottom: "x" top: "y" convolution_param {{ {} }} }}'
        return Case(
            text.format(type_name, words),
            {"x": normal(rng, int(rng.integers(1, 3)), c, *size(rng, 4, 12))},
            opencv=text.format("Convolution", f"{words} group: {c}"),
        )

    return case


for name in ("ConvolutionDepthwise", "DepthwiseConvolution"):
    cases(name)(depthwise(name))


def activation(type_name):
    def case(rng):
        text = f'layer {{ name: "a" type: "{type_name}" bottom: "x" top: "y" }}'
        return Case(text, {"x": 4 * normal(rng, 1, 3, *size(rng))})

    return case


for name in ("HardSwish", "Mish", "Swish"):  # OpenCV's HardSigmoid has another slope
    cases(name)(activation(name))


def prototxt(case, opencv=False):
    """The net of a case, with an Input layer for each array."""
    text = ""
    for name, array in case.inputs.items():
        dims = " ".join(f"dim: {n}" for n in array.shape)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}"\n'
        text += f"  input_param {{ shape {{ {dims} }} }} }}\n"
    return text + (case.opencv if opencv and case.opencv else case.layers)


@cases("Correlation")
def correlation(rng):
    # OpenCV has no SUBTRACT.
    kernel, far = int(rng.choice([1, 3])), int(rng.integers(1, 5))
    pad = far + kernel // 2
    shape = (int(rng.integers(1, 3)), int(rng.integers(1, 5)), *size(rng, 5, 12))
    return Case(
        f"""layer {{ name: "c" type: "Correlation" bottom: "a" bottom: "b" top: "y"
            correlation_param {{ kernel_size: {kernel} max_displacement: {far} pad: {pad}
            stride_1: {rng.integers(1, 3)} stride_2: {rng.integers(1, 3)} }} }}""",
        {"a": normal(rng, *shape), "b": normal(rng, *shape)},
    )


@cases("FlowWarp")
def flow_warp(rng):
    n, c, (h, w) = int(rng.integers(1, 3)), int(rng.integers(1, 5)), size(rng, 3, 12)
    return Case(
        """layer { name: "f" type: "FlowWarp" bottom: "x" bottom: "flow" top: "y"
            flow_warp_param { fill_value: ZERO } }""",
        {"x": normal(rng, n, c, h, w), "flow": 2 * normal(rng, n, 2, h, w)},
    )


@cases("Accum")
def accum(rng):
    # OpenCV reads have_reference as a word, rounds down for size_divisible_by, and mixes up the
    # items of a batch.
    maps = {f"x{i}": normal(rng, 1, int(rng.integers(1, 4)), *size(rng, 3, 9)) for i in range(2)}
    bottoms = " ".join(f'bottom: "{name}"' for name in maps)
    tall, wide = rng.integers(10, 14, 2)
    return Case(
        f"""layer {{ name: "a" type: "Accum" {bottoms} top: "y"
            accum_param {{ top_height: {tall} top_width: {wide} }} }}""",
        maps,
    )


def write(case, folder, seed):
    """The net's files with random parameters, and the prototxt for OpenCV; their paths."""
    names = ("net.prototxt", "net.caffemodel", "opencv.prototxt")
    paths = [os.path.join(folder, name) for name in names]
    with open(paths[2], "w") as file:
        file.write(prototxt(case, opencv=True))
    with open(paths[0], "w") as file:
        file.write(prototxt(case))
    caffe.set_random_seed(seed)
    net = caffe.Net(paths[0], caffe.TEST)
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "Normalize":
            continue  # filled as the case says
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.data.shape)
    net.save(paths[1])
    return paths


def run_here(paths, inputs):
    """The first top of the last layer."""
    net = caffe.Net(*paths[:2], caffe.TEST)
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    net.forward()
    return net.blobs[list(net.top_names.values())[-1][0]].data.copy()


def run_opencv(paths, inputs):
    """OpenCV's output: of the third file, its own prototxt, where there is one."""
    import cv2

    net = cv2.dnn.readNetFromCaffe(paths[-1] if len(paths) > 2 else paths[0], paths[1])
    net.enableFusion(False)
    for name, array in inputs.items():
        net.setInput(array, name)
    return net.forward()


def rows(detections):
    """Detections sorted; without our row of -1 and OpenCV's rows of zeros, where there are none."""
    found = detections.reshape(-1, 7)
    found = found[found[:, 2] > 0]
    return found[np.lexsort((-found[:, 2], found[:, 1], found[:, 0]))]


def difference(case, ours, theirs):
    """The largest difference relative to the largest value; infinite where shapes differ."""
    if case.exact_rows:
        ours, theirs = rows(ours), rows(theirs)
    if case.padded and not theirs[len(ours) :].any():
        theirs = theirs[: len(ours)]
    if ours.shape != theirs.shape:
        return np.inf
    if not ours.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def compare(type_name, seed):
    """(case, our top, OpenCV's top) of one random case."""
    case = CASES[type_name](np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = write(case, folder, seed)
        return case, run_here(paths, case.inputs), run_opencv(paths, case.inputs)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("types", nargs="*", metavar="TYPE", help="default: all")
    parser.add_argument("--cases", type=int, default=40, help="of each type (default: %(default)s)")
    args = parser.parse_args(argv)
    failed = 0
    for name in args.types or sorted(CASES):
        found = [difference(*compare(name, seed)) for seed in range(args.cases)]
        wrong = [seed for seed, value in enumerate(found) if not value <= TOLERANCE]
        failed += len(wrong)
        note = f"; differ: {wrong}" if wrong else ""
        print(f"{name:20} {len(found)} cases, largest difference {max(found):.2g}{note}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
