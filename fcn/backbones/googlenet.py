"""GoogLeNet (Szegedy et al. 2015): nine inception modules.

fcn/classifiers/googlenet.py has the net as it was published, with its three classifiers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.backbones import BORDER, LEARNED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: Widths of an inception module: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def conv(
    n: Trunk | NetSpec,
    group: str,
    name: str,
    bottom: Top,
    width: int,
    kernel: int,
    stride: int = 1,
    pad: int | None = None,
    **fields: Any,
) -> Top:
    """Convolution and ReLU: conv1/7x7_s2 and conv1/relu_7x7."""
    n[f"{group}/{name}"] = top = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=kernel // 2 if pad is None else pad,
        param=LEARNED,
        **fields,
    )
    relu = name.replace("_s2", "")
    n[f"{group}/relu_{relu}"] = top = L.ReLU(top, in_place=True)
    return top


def _pool(n: Trunk | NetSpec, name: str, bottom: Top) -> Top:
    n[name] = top = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    return top


def _norm(n: Trunk | NetSpec, name: str, bottom: Top) -> Top:
    n[name] = top = L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)
    return top


def _inception(n: Trunk | NetSpec, module: str, bottom: Top, **fields: Any) -> Top:
    group, widths = "inception_" + module, MODULES[module]
    one = conv(n, group, "1x1", bottom, widths[0], 1, **fields)
    three = conv(n, group, "3x3_reduce", bottom, widths[1], 1, **fields)
    three = conv(n, group, "3x3", three, widths[2], 3, **fields)
    five = conv(n, group, "5x5_reduce", bottom, widths[3], 1, **fields)
    five = conv(n, group, "5x5", five, widths[4], 5, **fields)
    n[group + "/pool"] = pool = L.Pooling(
        bottom, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1
    )
    pool = conv(n, group, "pool_proj", pool, widths[5], 1, **fields)
    n[group + "/output"] = top = L.Concat(one, three, five, pool)
    return top


def add_modules(
    n: Trunk | NetSpec, data: Top, pad: int = 3, **fields: Any
) -> Iterator[tuple[str, Top]]:
    """Add conv1/7x7_s2 … inception_5b/output; yields (module, its output), one by one.

    pad: of the first convolution. fields: further fields of every convolution, such as fillers.
    """
    top = conv(n, "conv1", "7x7_s2", data, 64, 7, 2, pad, **fields)
    top = _norm(n, "pool1/norm1", _pool(n, "pool1/3x3_s2", top))
    top = conv(n, "conv2", "3x3_reduce", top, 64, 1, **fields)
    top = conv(n, "conv2", "3x3", top, 192, 3, **fields)
    top = _pool(n, "pool2/3x3_s2", _norm(n, "conv2/norm2", top))
    for module in MODULES:
        output = top = _inception(n, module, top, **fields)
        if module in ("3b", "4e"):
            top = _pool(n, f"pool{module[0]}/3x3_s2", top)
        yield module, output


def add(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """Add all modules; the average pooling behind them is gone, and so are the inner classifiers.

    Its 1000 outputs come straight from the features, so there is no more to be had by `classifier`
    than their dropout.
    """
    outputs = OrderedDict(add_modules(n, data, pad=3 + BORDER))
    skips = OrderedDict(
        (stride, Skip("inception_" + name, outputs[name], _channels(name)))
        for stride, name in ((16, "4e"), (8, "3b"))
    )
    top = outputs["5b"]
    if classifier and phase != "deploy":
        n["drop_5b"] = top = L.Dropout(top, dropout_ratio=0.4, in_place=True)
    return Features(top, 32, _channels("5b"), skips, padded=False)


def _channels(module: str) -> int:
    one, _, three, _, five, pool = MODULES[module]
    return one + three + five + pool
