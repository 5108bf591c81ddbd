"""A small backbone of our own, with batch normalisation, that can be trained from scratch.

Every convolution but a stem is 3×3 with pad 1, so it keeps the size; every pooling halves it,
rounding up. So an image of any size has a top of about H/32×W/32, without a border around it.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.backbones import MEASURED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: One row per backbone. stem: the width of a first 4×4 convolution of stride 2, which takes the
#: place of the first stage and its pooling (None: it is a stage as the others); stages: the widths
#: of the convolutions before each of the five poolings; top: those after the last; fraction: of the
#: running mean and variance that survives an iteration.
Small = namedtuple("Small", "stem stages top fraction")

TABLE = {
    # 2.1 million weights; the image's full size is left at once, where convolutions cost most.
    "camvid": Small(
        stem=32,
        stages=((), (), (48, 48), (96, 96, 96), (160, 160, 160)),
        top=(224, 224, 224),
        fraction=0.95,
    ),
    # 0.1 million weights.
    "toy": Small(stem=None, stages=((12,), (16,), (32,), (48,), (64,)), top=(64,), fraction=0.95),
}


def _block(
    n: Trunk | NetSpec,
    name: str,
    bottom: Top,
    width: int,
    fraction: float,
    kernel: int = 3,
    stride: int = 1,
) -> Top:
    """Convolution, BatchNorm, Scale, ReLU. The convolution needs no bias: BatchNorm removes it."""
    n["conv" + name] = conv = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=1,
        bias_term=False,
        weight_filler=dict(type="msra"),
        param=[dict(lr_mult=1, decay_mult=1)],
    )
    n["bn" + name] = normal = L.BatchNorm(
        conv, in_place=True, moving_average_fraction=fraction, param=MEASURED
    )
    n["scale" + name] = scaled = L.Scale(
        normal, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2
    )
    n["relu" + name] = relu = L.ReLU(scaled, in_place=True)
    return relu


def add_camvid(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """The trunk for CamVid."""
    return _add(n, data, TABLE["camvid"])


def add_toy(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """The trunk for generated pictures."""
    return _add(n, data, TABLE["toy"])


def _add(n: Trunk | NetSpec, data: Top, small: Small) -> Features:
    """Add the layers conv1_1 … pool5 and those of the top, of one row of the table."""
    top, skips = data, []
    for stage, widths in enumerate(small.stages, 1):
        for i, width in enumerate(widths, 1):
            top = _block(n, f"{stage}_{i}", top, width, small.fraction)
        if stage == 1 and small.stem:
            top = _block(n, "1_1", top, small.stem, small.fraction, kernel=4, stride=2)
            continue
        n[f"pool{stage}"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        if stage in (3, 4):
            skips.append((2**stage, Skip(f"pool{stage}", top, widths[-1])))
    for i, width in enumerate(small.top, 1):
        top = _block(n, f"{len(small.stages) + 1}_{i}", top, width, small.fraction)
    return Features(top, 32, small.top[-1], OrderedDict(reversed(skips)), padded=False)
