"""VGG-16 and VGG-19 (Simonyan & Zisserman 2015, configurations D and E) as convolutions.

fcn/classifiers/vgg.py has the nets as they were published.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.backbones import BORDER, LEARNED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: Width and number of the 3×3 convolutions before each pooling.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
STAGES_19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def _conv_relu(
    n: Trunk | NetSpec, name: str, bottom: Top, width: int, kernel: int, pad: int, **fields: Any
) -> Top:
    n[("conv" if "_" in name else "fc") + name] = conv = L.Convolution(
        bottom, num_output=width, kernel_size=kernel, stride=1, pad=pad, param=LEARNED, **fields
    )
    n["relu" + name] = relu = L.ReLU(conv, in_place=True)
    return relu


def add_convolutions(
    n: Trunk | NetSpec,
    data: Top,
    stages: Sequence[tuple[int, int]] = STAGES,
    pad: int = 1,
    **fields: Any,
) -> dict[str, Any]:
    """Add the layers conv1_1 … pool5 to `n`, a NetSpec or Trunk; returns the pools by name.

    pad: of conv1_1. fields: further fields of every convolution, such as fillers.
    """
    top, pools = data, {}
    for stage, (width, convs) in enumerate(stages, 1):
        for i in range(1, convs + 1):
            own_pad = pad if (stage, i) == (1, 1) else 1
            top = _conv_relu(n, f"{stage}_{i}", top, width, 3, own_pad, **fields)
        top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        n[f"pool{stage}"] = pools[f"pool{stage}"] = top
    return pools


def add(
    n: Trunk | NetSpec,
    data: Top,
    phase: str,
    classifier: bool = True,
    stages: Sequence[tuple[int, int]] = STAGES,
) -> Features:
    """Add the layers conv1_1 … drop7, or … pool5 without the classifier.

    conv1_1 pads by 100 pixels, so that any image, however small, leaves fc6 something to see.
    """
    pools = add_convolutions(n, data, stages, pad=100 if classifier else 1 + BORDER)
    skips = OrderedDict(
        (stride, Skip(name, pools[name], stages[int(name[-1]) - 1][0]))
        for stride, name in ((16, "pool4"), (8, "pool3"))
    )
    top = pools["pool5"]
    if not classifier:
        return Features(top, 32, stages[-1][0], skips, padded=False)
    for name, kernel in (("6", 7), ("7", 1)):
        top = _conv_relu(n, name, top, 4096, kernel, 0)
        if phase != "deploy":
            n["drop" + name] = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    return Features(top, 32, 4096, skips, padded=True)


def add19(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """VGG-19."""
    return add(n, data, phase, classifier, STAGES_19)
