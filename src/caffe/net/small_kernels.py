"""What the layers of small nets that train call: a native kernel each way, and its structure.

To add a type of layer: a function and its place in :data:`TABLE`.  The kernels must be those that
the layer calls by itself for the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from caffe.layer import Layer
from caffe.layer.activation import ReLU
from caffe.layer.convolution import Convolution
from caffe.layer.inner_product import InnerProduct
from caffe.layer.pooling import Pooling
from caffe.layer.softmax_loss import SoftmaxWithLoss
from caffe.native import in_turn, places, small_convolution, small_product, softmax_loss
from caffe.native.calls import floats
from caffe.native.in_turn import Kernel
from caffe.native.outer import Outer

__all__ = ["TABLE", "Calls", "Given"]

_LEAST_OUTER = 1 << 14  # weights

Tensors = list[torch.Tensor]


class Given(NamedTuple):
    """What a layer computes from and writes to: the tensors of its blobs as they lie in memory.

    Diffs of bottoms and parameters are None where they are not wanted.
    """

    bottoms: Tensors
    tops: Tensors
    params: Tensors
    top_diffs: Tensors
    bottom_diffs: list[torch.Tensor | None]
    param_diffs: list[torch.Tensor | None]


class Calls(NamedTuple):
    """A layer's two passes, and the attributes that its forward pass leaves in it.

    ``outer``: what the gradient of the first parameter is the product of; it need not be computed.
    """

    forward: Kernel
    backward: Kernel | None
    state: dict[str, Any] = {}
    outer: Outer | None = None


def _convolution(layer: Convolution, given: Given) -> Calls | None:
    x, weight = given.bottoms[0], given.params[0]
    if not layer.is_small(x, weight):
        return None
    bias = given.params[1] if layer.has_bias else None
    stride, pad = layer.stride, layer.pad
    y, dy = given.tops[0], given.top_diffs[0]
    diffs = dict(zip(("dx", "dw", "db"), (given.bottom_diffs[0], *given.param_diffs)))
    of = small_convolution.of(x, weight, y.shape, stride, pad, bias=bias, y=y)
    back = small_convolution.of(x, weight, y.shape, stride, pad, dy=dy, **diffs)
    return Calls(
        Kernel("kernels_small_convolution", of), Kernel("kernels_small_convolution_back", back)
    )


def _pooling(layer: Pooling, given: Given) -> Calls | None:
    index = getattr(layer, "index", None)
    if layer.num_tops != 1 or index is None or index.dtype is not torch.int32:
        return None
    window = layer.kernel, layer.stride, layer.pad
    x, y, dx = given.bottoms[0], given.tops[0], given.bottom_diffs[0]
    if index.shape != y.shape or not index.is_contiguous():
        return None
    of = places.of(x, y, index, *window)
    forward = Kernel("kernels_places", of, ("kernels_places_new", False))
    backward = None
    if dx is not None:
        back = places.of(dx, given.top_diffs[0], index, *window)
        backward = Kernel("kernels_places", back, ("kernels_places_new", True))
    return Calls(forward, backward, {"index": index, "plain": True})


def _inner_product(layer: InnerProduct, given: Given) -> Calls | None:
    rows = given.bottoms[0].view(-1, layer.num_input)
    weight, *bias = given.params
    if not layer.is_small(rows, weight):
        return None
    of = small_product.of(rows, weight, bias=bias[0] if bias else None, y=given.tops[0])
    diffs = dict(zip(("dw", "db"), given.param_diffs))
    back = small_product.of(rows, weight, dy=given.top_diffs[0], dx=given.bottom_diffs[0], **diffs)
    one = len(rows) == 1 and diffs["dw"] is not None and weight.numel() >= _LEAST_OUTER
    return Calls(
        Kernel("kernels_small_product", of),
        Kernel("kernels_small_product_back", back),
        outer=Outer(given.top_diffs[0], rows) if one else None,
    )


def _relu(layer: ReLU, given: Given) -> Calls | None:
    if layer.slope:
        return None
    x, dx = given.bottoms[0], given.bottom_diffs[0]
    back = None if dx is None else in_turn.relu_back(x, given.top_diffs[0], dx)
    return Calls(in_turn.relu(x, given.tops[0]), back)


def _softmax_loss(layer: SoftmaxWithLoss, given: Given) -> Calls | None:
    scores, labels = given.bottoms
    if layer.num_tops != 1 or not layer.is_plain(scores, labels):
        return None
    prob, logs = torch.empty_like(scores), floats(labels.shape)
    of = softmax_loss.of(labels, prob, layer.classes, layer.ignore, layer.known_divisor())
    of.scores, of.logs, of.loss = (t.data_ptr() for t in (scores, logs, given.tops[0]))
    state = {"prob": prob, "losses": logs.view(layer.shape_of_losses(scores))}
    dx = given.bottom_diffs[0]
    if dx is None:
        return Calls(Kernel("kernels_softmax_loss", of), None, state)
    back = softmax_loss.of(labels, prob, layer.classes, layer.ignore, layer.known_divisor())
    back.top_diff, back.diff = given.top_diffs[0].data_ptr(), dx.data_ptr()
    return Calls(
        Kernel("kernels_softmax_loss", of), Kernel("kernels_softmax_loss_back", back), state
    )


#: What each type of layer calls; None where it calls something else.
TABLE: dict[type[Layer], Callable[..., Calls | None]] = {
    Convolution: _convolution,
    InnerProduct: _inner_product,
    Pooling: _pooling,
    ReLU: _relu,
    SoftmaxWithLoss: _softmax_loss,
}
