"""The contracting path of U-Net (Ronneberger et al. 2015).

Its convolutions pad by 1 where the paper's do not, so that the scores are as large as the image; a
pooling rounds up, so that images of any size will do, and the head crops what it doubled. Batch
normalisation, which the paper's has not, lets it learn from scratch from images of 0 to 255.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.backbones import MEASURED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: Width of the first of five stages; it doubles with each.
WIDTH, SMALL = 64, 16

#: Of BatchNorm's running mean and variance, what survives an iteration.
FRACTION = 0.95


def convolutions(n: Trunk | NetSpec, name: str, bottom: Top, width: int) -> Top:
    """Two 3×3 convolutions, each with BatchNorm, Scale and ReLU: conv`name`_1 … relu`name`_2."""
    top = bottom
    for i in "12":
        part = f"{name}_{i}"
        n["conv" + part] = top = L.Convolution(
            top,
            num_output=width,
            kernel_size=3,
            pad=1,
            bias_term=False,
            param=[dict(lr_mult=1, decay_mult=1)],
            weight_filler=dict(type="msra"),
        )
        n["bn" + part] = top = L.BatchNorm(
            top, in_place=True, moving_average_fraction=FRACTION, param=MEASURED
        )
        n["scale" + part] = top = L.Scale(
            top, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2
        )
        n["relu" + part] = top = L.ReLU(top, in_place=True)
    return top


def add(
    n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True, first: int = WIDTH
) -> Features:
    """Add conv1_1 … conv5_2 and the dropout at the bottom."""
    top, skips = data, []
    for stage in range(1, 6):
        width = first * 2 ** (stage - 1)
        top = convolutions(n, str(stage), top, width)
        if stage < 5:
            skips.append((2 ** (stage - 1), Skip(str(stage), top, width)))
            n[f"pool{stage}"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    if phase != "deploy":
        n["drop5"] = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    return Features(top, 16, width, OrderedDict(reversed(skips)), padded=False)


def add_small(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """The same with a quarter of the channels."""
    return add(n, data, phase, classifier, SMALL)
