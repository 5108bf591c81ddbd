"""A net of one layer for every type that BVLC Caffe does not have: the CPU's numbers against those
of a device, forward and backward, also in the passes that are replayed from CUDA graphs.

Layers of BVLC Caffe have golden results (tests/oracle); these have none that a GPU could be held
to.  Whether the CPU's numbers are right is for the layers' own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2

__all__ = ["CASES", "ELSEWHERE", "WAITS", "Case", "kind_of", "net_of", "passes", "worst_share"]

PASSES = 6  # more than a graph needs to be captured and replayed
FILL = "weight_filler { type: 'uniform' min: -0.7 max: 0.7 } bias_filler { type: 'uniform' }"

#: Types that read files, write them, or only sort boxes by scores on the host; their own tests run
#: them, and what they send up is counted there.
ELSEWHERE = {
    "AnnotatedData", "DenseImageData", "DetectionEvaluate", "ImageLabelmapData", "ImageSegData",
    "MatRead", "MatWrite", "VideoData",
}  # fmt: skip

#: type -> why its pass makes the host wait for the device.  No other type may.
WAITS = {
    "BoxAnnotatorOHEM": "sorts regions on the host, image by image",
    "CTCLoss": "PyTorch's CTC loss on the CPU: labels and lengths decide its shapes",
    "CtcLoss": "as CTCLoss",
    "DenseCRF": "the lattice has as many points as the picture's colours need; sizes are read",
    "DetectionOutput": "non-maximum suppression on the host",
    "MultiBoxLoss": "matches boxes with objects on the host",
    "MultiStageMeanfield": "a lattice as in DenseCRF, one for each picture",
    "Proposal": "non-maximum suppression on the host",
    "Yolov3DetectionOutput": "non-maximum suppression on the host",
}


class Case(NamedTuple):
    """A layer and its bottoms.

    text: the inside of its `layer { }`; bottoms: arrays; tops: how many; train: the phase;
    gradients: indices of the bottoms that get one; drawn: True where the device's own random
    numbers decide, so that only sizes and finiteness can be compared.
    """

    text: str
    bottoms: tuple[np.ndarray, ...]
    tops: int = 1
    train: bool = True
    gradients: tuple[int, ...] = (0,)
    drawn: bool = False


def _x(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Uniform float32 values, all different: no maximum is met twice."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    values = low + (rng.permutation(count) + rng.uniform(0.1, 0.9, count)) / count * (high - low)
    return values.reshape(shape).astype(np.float32)


def _whole(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.float32)


def _rois(count: int, items: int, height: int, width: int) -> np.ndarray:
    """Rows (item, x1, y1, x2, y2) inside a map, no side on a pixel's border."""
    rng = np.random.default_rng(5)
    first = rng.uniform(0.1, 0.5, (count, 2)) * (width - 1, height - 1)
    last = first + rng.uniform(0.2, 0.45, (count, 2)) * (width - 1, height - 1)
    items = rng.integers(0, items, (count, 1))
    return np.hstack([items, first, last]).astype(np.float32)


def _image(height: int, width: int, items: int = 1) -> np.ndarray:
    """Two smooth halves, from 0 to 255."""
    halves = np.where(np.arange(width) < width // 2, 60.0, 190.0)
    noise = np.random.default_rng(2).normal(0, 4, (items, 3, height, width))
    return (halves + noise).astype(np.float32)


def _boxes(count: int) -> np.ndarray:
    """Priors and variances, 1×2×4K."""
    rng = np.random.default_rng(7)
    low = rng.uniform(0.0, 0.5, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.2, 0.45, (count, 2))], 1)
    return np.stack([boxes, np.full_like(boxes, 0.2)]).reshape(1, 2, -1).astype(np.float32)


def _objects() -> np.ndarray:
    rows = [[0, 1, 0, 0.1, 0.1, 0.5, 0.6, 0], [0, 2, 0, 0.4, 0.3, 0.9, 0.8, 0],
            [1, 3, 0, 0.2, 0.2, 0.7, 0.7, 0]]  # fmt: skip
    return np.asarray(rows, np.float32).reshape(1, 1, -1, 8)


def _ctc() -> tuple[np.ndarray, ...]:
    going, labels = np.zeros((5, 2), np.float32), np.full((5, 2), -1.0, np.float32)
    going[1:5, 0] = going[1:4, 1] = 1
    labels[:2, 0], labels[:1, 1] = (0, 1), (1,)
    return _x(5, 2, 3), going, labels


def _proposal() -> tuple[np.ndarray, ...]:
    sizes = np.array([[80, 96, 1.0]] * 2, np.float32)
    return _x(2, 18, 5, 6, low=0, high=1), _x(2, 36, 5, 6, seed=1, low=-0.4, high=0.4), sizes


def _with_nan(x: np.ndarray) -> np.ndarray:
    x[0, :, 1] = np.nan
    return x


_MAP = (2, 3, 5, 6)
_ACTIVATIONS = ("HSigmoid", "HSwish", "HardSigmoid", "HardSwish", "Mish", "ReLU6")
_CRF = "pos_xy_std: 2 pos_w: 1.5 bi_xy_std: 6 bi_rgb_std: 50 bi_w: 2"
_MEANFIELD = (
    "num_iterations: 3 theta_alpha: 6 theta_beta: 50 theta_gamma: 2 spatial_filter_weight: 1.5 "
    "bilateral_filter_weight: 2"
)
_YOLO = (
    "num_classes: 3 num_box: 2 biases: 10 biases: 14 biases: 23 biases: 27 biases: 37 biases: 58 "
    "biases: 81 biases: 82 mask: 2 mask: 3 mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16"
)

#: "type" or "type, variant" -> Case
CASES: dict[str, Case] = {
    "Accum": Case("", (_x(*_MAP), _x(2, 1, 4, 9, seed=1)), gradients=(0, 1)),
    "Axpy": Case("", (_x(2, 3), _x(*_MAP, seed=1), _x(*_MAP, seed=2)), gradients=(0, 1, 2)),
    "BN": Case("bn_param { slope_filler { value: 1.5 } }", (_x(*_MAP),)),
    "BN, TEST": Case("bn_param { slope_filler { value: 1.5 } }", (_x(*_MAP),), train=False),
    "BatchReduction": Case(
        "batch_reduction_param { level: 1 level: 2 reduction_param { axis: 1 operation: MEAN } }",
        (_x(2, 5, 3),),
    ),
    "BoxAnnotatorOHEM": Case(
        "box_annotator_ohem_param { roi_per_img: 2 }",
        (_rois(6, 2, 30, 40), _x(6, low=0, high=3), _whole(3, 6), _x(6, 8, seed=1)),
        tops=2,
        gradients=(),
    ),
    "CTCLoss": Case("", _ctc()),
    "CenterLoss": Case(
        "center_loss_param { num_output: 4 center_filler { type: 'uniform' } }",
        (_x(5, 3), _whole(4, 5)),
    ),
    "ChannelNorm": Case("", (_x(*_MAP),)),
    "ContinuationIndicator": Case(
        "continuation_indicator_param { time_step: 4 batch_size: 3 }", (), gradients=()
    ),
    "Correlation": Case(
        "correlation_param { kernel_size: 3 max_displacement: 2 pad: 2 stride_2: 2 }",
        (_x(1, 4, 8, 9), _x(1, 4, 8, 9, seed=1)),
        gradients=(0, 1),
    ),
    "Correlation, SUBTRACT": Case(
        "correlation_param { kernel_size: 1 max_displacement: 1 pad: 1 "
        "correlation_type: SUBTRACT }",
        (_x(1, 4, 6, 7), _x(1, 4, 6, 7, seed=1)),
        gradients=(0, 1),
    ),
    "Correlation1D": Case(
        "correlation_param { kernel_size: 1 max_displacement: 3 pad: 3 single_direction: -1 }",
        (_x(1, 4, 6, 9), _x(1, 4, 6, 9, seed=1)),
        gradients=(0, 1),
    ),
    "CropCenter": Case(
        "crop_center_param { crop_size: 0 crop_size: 1 crop_size: 2 crop_size: 2 }", (_x(*_MAP),)
    ),
    "CtcLoss": Case(
        "ctc_loss_param { alphabet_size: 3 time_step: 4 }",
        (_x(4, 2, 3), np.array([[1, 2, 0], [2, 0, 0]], np.float32)),
    ),
    "DataAugmentation": Case(
        "augmentation_param { mean: 1 mean: 2 mean: 3 mean_per_pixel: false }",
        (_x(*_MAP),),
        train=False,
        gradients=(),
    ),
    "DenseCRF": Case(
        f"dense_crf_param {{ max_iter: 3 {_CRF} }}",
        (_x(2, 3, 9, 10), np.array([[9, 10], [7, 8]], np.float32).reshape(2, 1, 1, 2),
         _image(9, 10, 2)),  # fmt: skip
        train=False,
        gradients=(),
    ),
    "DetectionOutput": Case(
        "detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.45 top_k: 20 } "
        "code_type: CENTER_SIZE keep_top_k: 10 confidence_threshold: 0.1 }",
        (_x(2, 24), _x(2, 18, seed=1, low=0, high=1), _boxes(6)),
        train=False,
        gradients=(),
    ),
    "Downsample": Case(
        "downsample_param { top_height: 3 top_width: 2 }",
        (_x(*_MAP),),
        train=False,
        gradients=(),
    ),
    "EltwiseAccuracy": Case("", (_x(*_MAP), _whole(3, 2, 1, 5, 6)), gradients=()),
    "FlowWarp": Case("", (_x(*_MAP), _x(2, 2, 5, 6, seed=1)), gradients=(0, 1)),
    "Interp": Case("interp_param { zoom_factor: 2 }", (_x(*_MAP),)),
    "L1Loss": Case("", (_with_nan(_x(*_MAP)), _x(*_MAP, seed=1)), gradients=(0, 1)),
    "L1Loss, places": Case(
        "l1_loss_param { l2_per_location: true }", (_x(*_MAP), _x(*_MAP, seed=1)), gradients=(0, 1)
    ),
    "L2Norm": Case("", (_x(4, 6),)),
    "Local": Case(
        f"local_param {{ num_output: 3 kernel_size: 3 stride: 2 pad: 1 {FILL} }}", (_x(*_MAP),)
    ),
    "Lstm": Case(f"lstm_param {{ num_output: 4 {FILL} }}", (_x(5, 2, 3),)),
    "MultiBoxLoss": Case(
        "multibox_loss_param { num_classes: 4 do_neg_mining: true neg_pos_ratio: 2 }",
        (_x(2, 24), _x(2, 24, seed=1), _boxes(6), _objects()),
        gradients=(0, 1),
    ),
    "MultiStageMeanfield": Case(
        f"multi_stage_meanfield_param {{ {_MEANFIELD} }}",
        (_x(2, 3, 9, 10), _x(2, 3, 9, 10, seed=1), _image(9, 10, 2)),
        gradients=(0, 1),
    ),
    "Normalize": Case(
        "norm_param { across_spatial: false channel_shared: false "
        "scale_filler { type: 'uniform' min: 1 max: 3 } }",
        (_x(*_MAP),),
    ),
    "PSROIPooling": Case(
        "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 0.5 }",
        (_x(2, 8, 12, 14), _rois(5, 2, 24, 28)),
    ),
    "Permute": Case("permute_param { order: 0 order: 2 order: 3 order: 1 }", (_x(*_MAP),)),
    "PriorBox": Case(
        "prior_box_param { min_size: 4 max_size: 9 aspect_ratio: 2 }",
        (_x(2, 5, 3, 2), _x(2, 3, 24, 16)),
        train=False,
        gradients=(),
    ),
    "Proposal": Case(
        "proposal_param { min_size: 20 pre_nms_topn: 150 post_nms_topn: 25 nms_thresh: 0.6 }",
        _proposal(),
        tops=2,
        train=False,
        gradients=(),
    ),
    "ROIAlign": Case(
        "roi_align_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 sampling_ratio: 2 }",
        (_x(2, 3, 12, 14), _rois(5, 2, 24, 28)),
    ),
    "ROIAlign, adaptive": Case(
        "roi_align_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 }",
        (_x(2, 3, 12, 14), _rois(5, 2, 24, 28)),
    ),
    "ROIPooling": Case(
        "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 }",
        (_x(2, 3, 12, 14), _rois(5, 2, 24, 28)),
    ),
    "Reorg": Case("reorg_param { stride: 2 }", (_x(2, 4, 4, 6),)),
    "Resample": Case("resample_param { height: 3 width: 9 type: CUBIC }", (_x(*_MAP),)),
    "Resample, LINEAR": Case(
        "resample_param { height: 7 width: 4 type: LINEAR antialias: true }", (_x(*_MAP),)
    ),
    "Resize": Case("resize_param { height: 8 width: 4 }", (_x(*_MAP),)),
    "Reverse": Case("reverse_param { axis: 1 }", (_x(*_MAP),)),
    "SegAccuracy": Case(
        "seg_accuracy_param { ignore_label: 255 }",
        (_x(2, 4, 5, 6), np.where(_x(2, 1, 5, 6, seed=3) > 1.5, 255, _whole(4, 2, 1, 5, 6))),
        gradients=(),
    ),
    "ShuffleChannel": Case("shuffle_channel_param { group: 2 }", (_x(2, 4, 5, 6),)),
    "SmoothL1Loss": Case(
        "smooth_l1_loss_param { sigma: 3 }",
        (_x(*_MAP), _x(*_MAP, seed=1), _x(*_MAP, seed=2), _x(*_MAP, seed=3)),
    ),
    "SmoothL1LossOHEM": Case(
        "loss_weight: 1 loss_weight: 0",
        (_x(4, 6, 1, 1), _x(4, 6, seed=1), _whole(2, 4, 6, 1, 1)),
        tops=2,
    ),
    "SoftmaxWithLossOHEM": Case(
        "loss_weight: 1 loss_weight: 0 loss_weight: 0", (_x(5, 3), _whole(3, 5)), tops=3
    ),
    "SpatialDropout": Case("spatial_dropout_param { dropout_ratio: 0.25 }", (_x(4, 16, 3, 3),),
                           drawn=True),  # fmt: skip
    "SpatialTransformer": Case(
        "st_param { output_H: 4 output_W: 6 }",
        (_x(*_MAP), _x(2, 6, seed=1, low=-0.9, high=0.9)),
        gradients=(0, 1),
    ),
    "SyncBN": Case("bn_param { slope_filler { value: 1.5 } }", (_x(*_MAP),)),
    "Transpose": Case("transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", (_x(*_MAP),)),
    "TripletLoss": Case(
        "", (_x(6, 4), _x(6, 4, seed=1), _x(6, 4, seed=2)), gradients=(0, 1, 2)
    ),
    "Unpooling": Case(
        "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_h: 7 unpool_w: 9 }",
        (_x(2, 3, 3, 4),),
    ),
    "Unpooling, a mask": Case(
        "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_h: 6 unpool_w: 8 }",
        (_x(1, 1, 3, 4), _x(1, 1, 3, 4).argsort(None).reshape(1, 1, 3, 4).astype(np.float32)),
    ),
    "Upsample": Case(
        "upsample_param { scale: 2 }",
        (_x(1, 1, 3, 4), _x(1, 1, 3, 4).argsort(None).reshape(1, 1, 3, 4).astype(np.float32)),
    ),
    "WeightedSoftmaxWithLoss": Case(
        "loss_param { ignore_label: 2 }",
        (_x(2, 4, 3, 2), _whole(4, 2, 3, 2), _x(2, 3, 2, seed=1, low=0, high=3)),
    ),
    "Yolov3DetectionOutput": Case(
        f"yolov3_detection_output_param {{ {_YOLO} }}",
        (_x(2, 16, 2, 3), _x(2, 16, 4, 6, seed=1)),
        train=False,
        gradients=(),
    ),
}  # fmt: skip
CASES.update({kind: Case("", (_x(*_MAP, low=-5, high=5),)) for kind in _ACTIVATIONS})
CASES.update(
    {
        kind: Case(
            f"convolution_param {{ num_output: 3 kernel_size: 3 pad: 1 {FILL} }}", (_x(*_MAP),)
        )
        for kind in ("ConvolutionDepthwise", "DepthwiseConvolution")
    }
)


def net_of(name: str) -> caffe.Net:
    """A net of Inputs b0, b1, … and the layer, "layer", with the tops t0, t1, …."""
    case = CASES[name]
    param = caffe_pb2.NetParameter(name=name, force_backward=bool(case.gradients))
    param.state.phase = caffe.TRAIN if case.train else caffe.TEST
    for i, array in enumerate(case.bottoms):
        given = param.layer.add(name=f"b{i}", type="Input", top=[f"b{i}"])
        given.input_param.shape.add(dim=array.shape)
    layer = param.layer.add()
    text_format.Merge(f'name: "layer" type: "{kind_of(name)}" {case.text}', layer)
    layer.bottom.extend(f"b{i}" for i in range(len(case.bottoms)))
    layer.top.extend(f"t{i}" for i in range(case.tops))
    if case.gradients:
        layer.propagate_down.extend(i in case.gradients for i in range(len(case.bottoms)))
    return caffe.Net.from_param(param)


def kind_of(name: str) -> str:
    """The layer's type of a case's name."""
    return name.split(",")[0]


def write(blob: Any, array: np.ndarray) -> None:
    """As a user does."""
    blob.data[...] = array


def passes(
    name: str,
    number: int = PASSES,
    around: Callable[[int], None] = lambda number: None,
    feed: Callable[[Any, np.ndarray], None] = write,
) -> list[dict[str, np.ndarray]]:
    """What each pass gives on the thread's device: tops t…, diffs d… of bottoms and p… of
    parameters.  ``around(k)`` is called before pass k; ``feed(blob, array)`` fills a bottom."""
    case = CASES[name]
    caffe.set_random_seed(3)
    net = net_of(name)
    found = []
    for k in range(number):
        around(k)
        for i, array in enumerate(case.bottoms):
            feed(net.blobs[f"b{i}"], array)
        net.clear_param_diffs()
        net.forward()
        results = {f"t{i}": net.blobs[f"t{i}"].data.copy() for i in range(case.tops)}
        if case.gradients:
            top = net.blobs["t0"]
            if not net.blob_loss_weights["t0"]:
                top.diff[...] = _x(*top.shape, seed=9)
            net.backward()
            results.update({f"d{i}": net.blobs[f"b{i}"].diff.copy() for i in case.gradients})
            for i, blob in enumerate(net.params.get("layer", [])):
                results[f"p{i}"] = blob.diff.copy()
        found.append(results)
    return found


def worst_share(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    """The largest difference of any array, as a share of the array's largest value; infinite where
    shapes differ, or NaN meets a number."""
    worst = 0.0
    for key, a in expected.items():
        b = found[key]
        if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        largest = float(np.abs(np.nan_to_num(a)).max(initial=0))
        off = float(np.abs(np.nan_to_num(a) - np.nan_to_num(b)).max(initial=0))
        worst = max(worst, off / largest if largest else float("inf") if off else 0.0)
    return worst
