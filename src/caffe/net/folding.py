"""Which layers of an inference net run as one convolution, and that convolution's weights.

A Convolution; then any BatchNorm with stored statistics, Scale and Bias by channel, which fold
into its weights; then the sum with another blob (Eltwise); then an activation.  A layer in the
middle that has a top of its own leaves a *hidden* blob: nothing computes it, unless somebody asks
(fused_step.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from caffe.kernels.fused import NONE, Activation
from caffe.layer import Layer
from caffe.layer._affine import is_affine_of, scale_and_shift
from caffe.layer.activation import ReLU
from caffe.layer.convolution import Convolution
from caffe.layer.eltwise import Eltwise
from caffe.layer.extensions.relu6 import ReLU6
from caffe.layer.piecewise import Clip
from caffe.layer.prelu import PReLU
from caffe.net.wiring import Graph

__all__ = [
    "Folded",
    "Group",
    "affine_stage",
    "fold",
    "group_at",
    "stages",
]

_MOST_WEIGHTS = 1 << 24  # FCN's fc6 and fc7: packed copies of them would take half a gigabyte
_MOST_HIDDEN_WEIGHTS = 1 << 22  # of a convolution with a hidden blob: they are kept twice

Stage = Callable[[torch.Tensor], torch.Tensor]


class Group(NamedTuple):
    """Layers ``first`` to ``end - 1``: a convolution and what follows it.

    Attributes:
        affine: the layers that fold into the weights.
        other: the blob of the sum, an index, or None.
        act: the layer of the activation, or None.
        activation: the same for oneDNN; :data:`NONE` where ``act`` is a PReLU.
        hidden: blob index -> how many of the group's layers compute it.
    """

    first: int
    end: int
    affine: list[Layer]
    other: int | None
    act: Layer | None
    activation: Activation
    hidden: dict[int, int]


class Folded(NamedTuple):
    """The weights and the bias of a group's one convolution."""

    weight: torch.Tensor
    bias: torch.Tensor | None


def group_at(graph: Graph, first: int) -> Group | None:
    """The group that begins with layer ``first`` of an inference net, None where none does."""
    layer = graph.layers[first]
    if not isinstance(layer, Convolution) or layer.phase == 0 or not graph.infers(first):
        return None
    if layer.channel_axis != 1 or layer.spatial_axes != 2 or layer.in_place:
        return None
    if not layer.blobs:  # Im2col, which is a convolution without weights
        return None
    if layer.blobs[0].count >= _MOST_WEIGHTS:
        return None
    may_hide = layer.blobs[0].count <= _MOST_HIDDEN_WEIGHTS
    affine: list[Layer] = []
    hidden: dict[int, int] = {}
    other, act, activation = None, None, NONE
    current, i = graph.tops[first][0], first + 1
    while i < len(graph.layers) and act is None:
        layer, bottoms, tops = graph.layers[i], graph.bottoms[i], graph.tops[i]
        if current not in bottoms or not graph.infers(i, most=2):
            break
        own_top = tops[0] != current
        if own_top and not may_hide:
            break
        if len(bottoms) == 2:
            if other is not None or not _adds(layer) or bottoms[0] == bottoms[1]:
                break
            other = bottoms[0] if bottoms[1] == current else bottoms[1]
        elif other is None and is_affine_of(layer, graph.layers[first].blobs[0].dims[0]):
            affine.append(layer)
        else:
            found = _activation(layer)
            # What is hidden must not depend on the sum: its operand would have to be kept.
            if found is None or (other is not None and (own_top or isinstance(layer, PReLU))):
                break
            act, activation = layer, found
        if own_top:
            hidden[current] = i - first
            current = tops[0]
        i += 1
    return Group(first, i, affine, other, act, activation, hidden)


def _adds(layer: Layer) -> bool:
    if type(layer) is not Eltwise or layer.in_place or layer.operation != layer.SUM:
        return False
    return layer.coeff == [1.0, 1.0]


def _activation(layer: Layer) -> Activation | None:
    if type(layer) is ReLU:
        return Activation("leaky_relu", (layer.slope,)) if layer.slope else Activation("relu")
    if type(layer) is ReLU6 and not layer.slope:
        return Activation("hardtanh", (0.0, 6.0))
    if type(layer) is Clip and layer.low <= layer.high:
        return Activation("hardtanh", (layer.low, layer.high))
    return NONE if type(layer) is PReLU else None


def fold(convolution: Layer, affine: list[Layer]) -> Folded:
    """The weights of the convolution with the affine layers in them, rounded once."""
    weight, *rest = (blob.data_tensor() for blob in convolution.blobs)
    bias = rest[0] if rest else None
    if not affine:
        return Folded(weight, bias)
    total = torch.ones(len(weight), dtype=torch.float64)
    shift = torch.zeros_like(total) if bias is None else bias.double()
    for layer in affine:
        scale, more = scale_and_shift(layer)
        if scale is not None:
            total, shift = total * scale, shift * scale
        if more is not None:
            shift = shift + more
    return Folded((weight * total.view(-1, 1, 1, 1)).float(), shift.float())


def stages(convolution: Any, affine: list[Layer]) -> list[Stage]:
    """The convolution and the affine layers one by one, as functions that keep copies of the
    weights as they are now."""
    weight, *rest = (blob.data_tensor().clone() for blob in convolution.blobs)
    bias = rest[0] if rest else None
    settings = convolution._settings()

    def convolve(x: torch.Tensor) -> torch.Tensor:
        return torch.convolution(x.float(), weight, bias, *settings)

    found: list[Stage] = [convolve]
    for layer in affine:
        found.append(affine_stage(*scale_and_shift(layer)))
    return found


def affine_stage(scale: torch.Tensor | None, shift: torch.Tensor | None) -> Stage:
    """``x scale + shift`` by channel, in float32."""
    a = None if scale is None else scale.float().view(-1, 1, 1)
    b = None if shift is None else shift.float().view(-1, 1, 1)

    def run(x: torch.Tensor) -> torch.Tensor:
        y = x if a is None else x * a
        return y if b is None else y + b

    return run
