"""ResNet-50, 101 and 152 (He et al. 2016), with the layer names of their authors' caffemodels.

fcn/classifiers/resnet.py has the nets as they were published.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.backbones import BORDER, MEASURED, Features, Skip

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Trunk

#: Blocks of each stage, by depth.
STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _unit(
    n: Trunk | NetSpec,
    name: str,
    suffix: str,
    bottom: Top,
    width: int,
    look: Any,
    kernel: int = 1,
    stride: int = 1,
    pad: int | None = None,
    bias: bool = False,
    relu: str | None = None,
) -> Top:
    """Convolution, BatchNorm, Scale: `name`, bn`suffix`, scale`suffix`, and the ReLU `relu`.

    look: further fields of the convolution and of the BatchNorm.
    """
    n[name] = top = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=kernel // 2 if pad is None else pad,
        bias_term=bias,
        **look[0],
    )
    n["bn" + suffix] = top = L.BatchNorm(top, in_place=True, param=MEASURED, **look[1])
    n["scale" + suffix] = top = L.Scale(top, in_place=True, bias_term=True)
    if relu:
        n[relu] = top = L.ReLU(top, in_place=True)
    return top


def _block(
    n: Trunk | NetSpec, name: str, bottom: Top, width: int, stride: int, project: bool, look: Any
) -> Top:
    """The bottleneck res`name`: 1×1, 3×3, 1×1, and around it the input, projected in a stage's
    first block; that block's 1×1 convolutions have the stride."""
    branch = f"res{name}_branch"
    around = bottom
    if project:
        around = _unit(n, branch + "1", f"{name}_branch1", bottom, 4 * width, look, stride=stride)
    top = bottom
    for letter, size, kernel, step in (
        ("a", width, 1, stride),
        ("b", width, 3, 1),
        ("c", 4 * width, 1, 1),
    ):
        relu = f"{branch}2{letter}_relu" if letter != "c" else None
        suffix = f"{name}_branch2{letter}"
        top = _unit(n, f"{branch}2{letter}", suffix, top, size, look, kernel, step, relu=relu)
    n["res" + name] = top = L.Eltwise(around, top)
    n[f"res{name}_relu"] = top = L.ReLU(top, in_place=True)
    return top


def _block_names(depth: int, stage: int, count: int) -> list[str]:
    """a, b, c …; the long stages of the deeper nets count on as b1, b2 …"""
    if depth > 50 and stage in (3, 4):
        return ["a"] + [f"b{i}" for i in range(1, count)]
    return [chr(ord("a") + i) for i in range(count)]


def add_blocks(
    n: Trunk | NetSpec,
    data: Top,
    depth: int,
    pad: int = 3,
    convolution: dict[str, Any] | None = None,
    norm: dict[str, Any] | None = None,
) -> dict[str, Top]:
    """Add conv1 … res5c_relu; returns the blobs of the last block of each stage, by its name.

    pad: of conv1. convolution, norm: further fields of all convolutions and BatchNorms.
    """
    look = (convolution or {}, norm or {})
    # conv1 of the 50-layer net has a bias, which its BatchNorm takes away again.
    top = _unit(
        n, "conv1", "_conv1", data, 64, look, 7, 2, pad, bias=depth == 50, relu="conv1_relu"
    )
    n["pool1"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    ends = OrderedDict()
    for stage, count in enumerate(STAGES[depth], 2):
        for i, letter in enumerate(_block_names(depth, stage, count)):
            stride = 2 if i == 0 and stage > 2 else 1
            name = f"{stage}{letter}"
            top = _block(n, name, top, 32 * 2 ** (stage - 1), stride, i == 0, look)
        ends["res" + name] = top
    return ends


def add50(n: Trunk | NetSpec, data: Top, phase: str, classifier: bool = True) -> Features:
    """ResNet-50; its classifier reads an average, so there is none to keep.

    BatchNorm normalises by what was measured on ILSVRC, in training too: a batch here is one image,
    too few to measure anew.
    """
    ends = add_blocks(n, data, 50, pad=3 + BORDER, norm=dict(use_global_stats=True))
    skips = OrderedDict(
        ((16, Skip("res4f", ends["res4f"], 1024)), (8, Skip("res3d", ends["res3d"], 512)))
    )
    return Features(ends["res5c"], 32, 2048, skips, padded=False)
