"""ArgMax: the positions of the largest values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("ArgMax")
class ArgMax(Layer):
    """The ``top_k`` (1) largest, largest first; of equal values the larger index first.

    With ``axis``: that axis becomes top_k long and holds indices (as floats), or with
    ``out_max_val`` the values alone.  Without: over everything but the first axis, N x 1 x k
    indices, or with ``out_max_val`` N x 2 x k, indices then values; as many axes as the bottom,
    at least 3.
    """

    differentiable = False

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.argmax_param
        shape = bottom_shapes[0]
        self.one_axis = self.axis(p.axis, len(shape)) if p.HasField("axis") else None
        size = math.prod(shape[1:]) if self.one_axis is None else shape[self.one_axis]
        if not 1 <= p.top_k <= size:
            raise self.fail(
                f"top_k must be 1 to {size}, the number of values, got {p.top_k}", LayerError
            )
        if self.one_axis is not None:
            top = [*shape[: self.one_axis], p.top_k, *shape[self.one_axis + 1 :]]
        else:
            top = [shape[0], 2 if p.out_max_val else 1, p.top_k, *([1] * (len(shape) - 3))]
        self.top_shape = tuple(top)
        return [self.top_shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        p = self.param.argmax_param
        if self.one_axis is not None:
            values, index = _largest(bottoms[0], self.one_axis, p.top_k)
            return [values if p.out_max_val else index]
        values, index = _largest(bottoms[0].reshape(bottoms[0].shape[0], -1), 1, p.top_k)
        y = torch.stack([index, values], 1) if p.out_max_val else index
        return [y.reshape(self.top_shape)]


def _largest(x: torch.Tensor, axis: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and indices, both float."""
    last = x.shape[axis] - 1
    if k == 1:
        values = x.amax(axis, keepdim=True)
        places = torch.arange(last + 1, dtype=x.dtype, device=x.device)
        places = places.view(-1, *([1] * (x.ndim - 1 - axis)))
        found = (x == values) | x.isnan()
        return values, torch.where(found, places, -1.0).amax(axis, keepdim=True)
    values, index = x.flip(axis).sort(dim=axis, descending=True, stable=True)
    return values.narrow(axis, 0, k), (last - index.narrow(axis, 0, k)).to(x.dtype)
