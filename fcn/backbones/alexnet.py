"""AlexNet (Krizhevsky et al. 2012) in CaffeNet's order, pooling before normalisation.

For FCN its classifier is turned into convolutions; fcn/classifiers/alexnet.py has the nets as
they were published.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.backbones import BORDER, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: name, width, kernel, stride, pad, group, and what follows the ReLU.
CONVOLUTIONS = (
    ("1", 96, 11, 4, 0, 1, ("pool", "norm")),
    ("2", 256, 5, 1, 2, 2, ("pool", "norm")),
    ("3", 384, 3, 1, 1, 1, ()),
    ("4", 384, 3, 1, 1, 2, ()),
    ("5", 256, 3, 1, 1, 2, ("pool",)),
)


def add_convolutions(
    n: Trunk | NetSpec,
    data: Top,
    pad: int = 0,
    norm_first: bool = False,
    fields: Callable[[str], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Add the layers conv1 … pool5 to the NetSpec `n`, reading `data`; returns the pools by name.

    pad: of conv1. norm_first: AlexNet's own order instead of CaffeNet's. fields: name of a
    convolution → its further fields, such as fillers.
    """
    top, pools = data, {}
    for name, width, kernel, stride, own_pad, group, after in CONVOLUTIONS:
        n["conv" + name] = top = L.Convolution(
            top,
            num_output=width,
            kernel_size=kernel,
            stride=stride,
            pad=pad if name == "1" else own_pad,
            group=group,
            **(fields("conv" + name) if fields else {}),
        )
        n["relu" + name] = top = L.ReLU(top, in_place=True)
        for kind in reversed(after) if norm_first else after:
            if kind == "pool":
                top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
                pools["pool" + name] = top
            else:
                top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
            n[kind + name] = top
    return pools


def add(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """Add the layers conv1 … drop7, or … pool5 without the classifier.

    No multipliers: weights and biases of the trunk learn alike, unlike VGG-16's. Without the
    classifier, conv1 pads by 5 and the border: then the scores' centres fall on pixels.
    """
    pools = add_convolutions(n, data, pad=100 if classifier else 5 + BORDER)
    skips = OrderedDict(
        ((16, Skip("pool2", pools["pool2"], 256)), (8, Skip("pool1", pools["pool1"], 96)))
    )
    top = pools["pool5"]
    if not classifier:
        return Features(top, 32, 256, skips, padded=False)
    for name, kernel in (("6", 6), ("7", 1)):
        n["fc" + name] = top = L.Convolution(
            top, num_output=4096, kernel_size=kernel, stride=1, pad=0, group=1
        )
        n["relu" + name] = top = L.ReLU(top, in_place=True)
        if phase != "deploy":
            n["drop" + name] = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    return Features(top, 32, 4096, skips, padded=True)
