"""EfficientNet-Lite0, 1 and 2 (Tan & Le 2019; the Lite form by Google, 2020).

Inverted residuals of 1×1, depthwise and 1×1 convolutions with batch normalisation and ReLU6, which
BVLC Caffe writes as Clip from 0 to 6. fcn/classifiers/efficientnet.py has the classifiers.

The published nets pad one side only where they stride. Here both sides are padded alike, so each
value is centred on a pixel: the same weights see the image shifted by 31 pixels, which a net that
is fully convolutional does not notice.

An image is RGB minus 127, divided by 128. The data layers subtract; a Power layer divides. The
first convolution of our caffemodels reads BGR.
"""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from fcn.backbones import MEASURED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: repeats: blocks of the stage; stride: of its first; expansion: of a block's inner channels.
Stage = namedtuple("Stage", "repeats kernel stride expansion width")

STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)

#: Factors of width and depth, by variant.
VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}

#: Of the first convolution and of the last one, in every variant.
STEM, HEAD = 32, 1280

#: The variance is measured with this added.
EPS = 1e-3

#: What an image is divided by, once the mean (127 in each channel) is subtracted.
DIVISOR = 128

#: lr_mult of a trained trunk below a new head: a quarter.
RATE = 0.25

#: Of folded weights, by the last part of the layer's name. Adam's steps have the size of the rate
#: whatever the weights' size. Folding made the weights before a narrow block's inner layer about
#: five times smaller, and those behind it two to five times larger; the steps follow.
FOLDED_RATES = {"expand": 0.03, "depthwise": 0.4, "project": 0.4}

#: What stands behind a convolution. "folded": its bias; the measured statistics are folded into the
#: weights (fcn/weights/fold.py). "frozen": BatchNorm with the stored statistics, and Scale.
#: "learning": BatchNorm with the statistics of the batch, and Scale.
NORMS = ("folded", "frozen", "learning")


def stages(variant: int) -> list[Stage]:
    """The Stages of a variant. Width is a multiple of 8; the first and last stage keep their depth,
    as in the published Lite nets."""
    width, depth = VARIANTS[variant]
    last = len(STAGES) - 1
    return [
        stage._replace(
            repeats=stage.repeats if i in (0, last) else math.ceil(depth * stage.repeats),
            width=_rounded(stage.width * width),
        )
        for i, stage in enumerate(STAGES)
    ]


def _rounded(width: float) -> int:
    """The nearest multiple of 8 that is not below 90 % of the width."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


class _Writer:
    """Adds units to `n`, a NetSpec or Trunk. norm: one of NORMS; rate: lr_mult of what learns."""

    def __init__(self, n: Trunk | NetSpec, norm: str, rate: float, filler: bool) -> None:
        self.n, self.norm, self.rate = n, norm, rate
        self.filler = dict(weight_filler=dict(type="msra")) if filler else {}

    def unit(
        self,
        name: str,
        bottom: Top,
        width: int,
        kernel: int = 1,
        stride: int = 1,
        group: int = 1,
        relu6: bool = True,
    ) -> Top:
        """Convolution `name`, its normalisation, and Clip `name`_relu6."""
        n, folded = self.n, self.norm == "folded"
        rate = self.rate
        if folded and rate:
            rate = FOLDED_RATES.get(name.rsplit("_", 1)[-1], rate)
        weight, bias = dict(lr_mult=rate, decay_mult=1), dict(lr_mult=self.rate, decay_mult=0)
        fields = dict(num_output=width, kernel_size=kernel, stride=stride, pad=kernel // 2)
        if group > 1:
            fields.update(group=group)
        n[name] = top = L.Convolution(
            bottom,
            bias_term=folded,
            param=[weight, bias] if folded else [weight],
            **fields,
            **self.filler,
        )
        if not folded:
            n[name + "_bn"] = top = L.BatchNorm(top, in_place=True, param=MEASURED, **self._bn())
            n[name + "_scale"] = top = L.Scale(
                top, in_place=True, bias_term=True, param=[bias, bias]
            )
        if relu6:
            # Not in place: Caffe's Clip would let the gradient of clipped values pass.
            n[name + "_relu6"] = top = L.Clip(top, min=0, max=6)
        return top

    def _bn(self) -> dict[str, Any]:
        if self.norm == "frozen":
            return dict(eps=EPS, use_global_stats=True)
        return dict(eps=EPS, moving_average_fraction=0.97)


def add_blocks(
    n: Trunk | NetSpec,
    data: Top,
    variant: int,
    norm: str,
    rate: float = RATE,
    filler: bool = False,
    reach: Callable[[int], None] = lambda stride: None,
) -> tuple[OrderedDict[int, tuple[str, Top, int]], _Writer]:
    """Add stem … the last block; returns {stage number, from 1: (name, top, width)} and the writer.

    filler: whether the weights are random before they are loaded. reach(stride): is called before
    the layers of each stride.
    """
    w = _Writer(n, norm, rate, filler)
    reach(2)
    top = w.unit("stem", data, STEM, 3, 2)
    ends, before, number, reached = OrderedDict(), STEM, 0, 2
    for at, stage in enumerate(stages(variant), 1):
        reached *= stage.stride
        reach(reached)
        for i in range(stage.repeats):
            number += 1
            name = f"block{number}"
            stride = stage.stride if i == 0 else 1
            inner, wide = top, before * stage.expansion
            if stage.expansion > 1:
                inner = w.unit(name + "_expand", inner, wide)
            inner = w.unit(name + "_depthwise", inner, wide, stage.kernel, stride, group=wide)
            inner = w.unit(name + "_project", inner, stage.width, relu6=False)
            if stride == 1 and before == stage.width:
                n[name] = inner = L.Eltwise(top, inner)
            top, before = inner, stage.width
        ends[at] = (name, top, before)
    return ends, w


def add(
    n: Trunk | NetSpec,
    data: Top,
    phase: str,
    classifier: bool = True,
    variant: int = 0,
    norm: str = "folded",
) -> Features:
    """The trunk of an FCN: the ends of the strides 32, 16, 8 and 4; with the classifier, its last
    1×1 convolution to 1280 channels is the coarsest."""
    n["data_scaled"] = top = L.Power(data, scale=1 / DIVISOR)
    ends, w = add_blocks(n, top, variant, norm, reach=n.reach)
    name, top, width = ends[7]
    if classifier:
        top, width = w.unit("head", top, HEAD), HEAD
    skips = OrderedDict((stride, Skip(*ends[at])) for stride, at in ((16, 5), (8, 3), (4, 2)))
    return Features(top, 32, width, skips, padded=False)
