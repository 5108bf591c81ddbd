"""What well-known ports of FCN-8s to other frameworks do with sizes and offsets.

Read from their sources; each describes itself for an image of height × width, with sizes computed
by its own rules. None of them but the first can take the published weights and give their scores.
"""

from __future__ import annotations

from collections import namedtuple

#: describe(height, width) → one sentence or two.
Variant = namedtuple("Variant", "name describe")


def _reference_in_pytorch(height: int, width: int) -> str:
    return (
        "the same graph: padding 100, pooling that rounds up, crops of 5, 9 and 31 written as "
        "numbers; scores are equal where the weights are. Its own weights come from another "
        "VGG-16, with other numbers"
    )


def _floor(n: int, times: int) -> int:
    for _ in range(times):
        n //= 2
    return n


def _ceil(n: int, times: int) -> int:
    for _ in range(times):
        n = -(-n // 2)
    return n


def _keras(height: int, width: int) -> str:
    def output(n: int) -> int:
        coarse = min(2 * _floor(n, 5) + 2, _floor(n, 4))
        fine = min(2 * coarse + 2, _floor(n, 3))
        return 8 * fine + 8

    return (
        f"no padding, pooling that rounds down ({_floor(height, 5)}×{_floor(width, 5)} after "
        "pool5), fc6 with padding 3; crops take only the last rows and columns, an offset of 0 "
        "where 1 would align, and nothing crops the end: the scores are "
        f"{output(height)}×{output(width)}; pool3's lie 4 pixels to the lower right of where "
        "they belong, pool4's 12, the coarsest 28"
    )


def _tensorflow(height: int, width: int) -> str:
    return (
        f"no padding, VGG-19 with average pooling that rounds up ({_ceil(height, 5)}×"
        f"{_ceil(width, 5)} after pool5); upsampling is told the size of what it is added to, "
        "which crops the same on both sides, so even factors stay aligned; it adds to pool4 "
        "and pool3 themselves, not to scores of them, and all upsampling is learnt"
    )


def _interpolating(height: int, width: int) -> str:
    return (
        f"no padding, no fc6 and fc7; the head's {_floor(height, 5)}×{_floor(width, 5)} scores "
        "are resized with corners aligned, so that the stride between them is "
        f"{(height - 1) / max(_floor(height, 5) - 1, 1):.2f} instead of 32 and no constant "
        "offset describes it"
    )


def _dilated(height: int, width: int) -> str:
    h, w = _ceil(height, 3), _ceil(width, 3)
    return (
        f"another net under the same name: ResNet dilated to stride 8 ({h}×{w}), two "
        "convolutions, resizing to the image; no skips, no deconvolution, no crop"
    )


VARIANTS = (
    Variant("pytorch-fcn (PyTorch)", _reference_in_pytorch),
    Variant("image-segmentation-keras fcn_8 (Keras)", _keras),
    Variant("FCN.tensorflow (TensorFlow)", _tensorflow),
    Variant("awesome-semantic-segmentation-pytorch FCN32s (PyTorch)", _interpolating),
    Variant("torchvision fcn_resnet50 (PyTorch)", _dilated),
)
