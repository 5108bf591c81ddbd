"""Reshape and Flatten: the same numbers under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.errors import LayerError
from caffe.layer import Layer, Need, Shape, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Reshape")
class Reshape(Layer):
    """``reshape_param.shape`` takes the place of ``num_axes`` (-1: all) axes from ``axis`` (0) on.

    A dim of 0 copies the bottom's axis at the same place, one dim may be -1 and is inferred.  A
    negative ``axis`` counts from behind the last: -1 appends.  The top shares the bottom's memory.
    """

    any_precision = True
    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        dims = list(self.param.reshape_param.shape.dim)
        if dims.count(-1) > 1:
            raise self.fail(f"the new shape may have a single -1, got {dims}", LayerError)
        if any(d < -1 for d in dims):
            raise self.fail(f"dims are -1, 0 or positive, got {dims}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.reshape_param
        shape = bottom_shapes[0]
        first = p.axis if p.axis >= 0 else len(shape) + p.axis + 1
        last = len(shape) if p.num_axes == -1 else first + p.num_axes
        if p.num_axes < -1 or not 0 <= first <= last <= len(shape):
            raise self.fail(
                f"axis {p.axis} with num_axes {p.num_axes} does not fit the bottom {shape}"
            )
        dims = list(p.shape.dim)
        for i, d in enumerate(dims):
            if d == 0:
                if first + i >= len(shape):
                    raise self.fail(
                        f"dim {i} is 0 (copy), but the bottom {shape} has no axis {first + i}"
                    )
                dims[i] = shape[first + i]
        top = [*shape[:first], *dims, *shape[last:]]
        count = math.prod(shape)
        if -1 in dims:
            known = -math.prod(top)
            if known == 0 or count % known:
                raise self.fail(
                    f"bottom count {count} must be divisible by the product of the specified "
                    f"dims, {known}: bottom {shape}, new shape {top}"
                )
            top[first + dims.index(-1)] = count // known
        if math.prod(top) != count:
            raise self.fail(
                f"output count must match input count: bottom {shape} has {count} values, new "
                f"shape {top} has {math.prod(top)}"
            )
        return [tuple(top)]

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape_blobs(bottom, top)
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the memory is shared."""

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing: the memory is shared."""


@register("Flatten")
class Flatten(Layer):
    """Makes the axes from ``axis`` (1) to ``end_axis`` (-1) one.  The top takes over the bottom's
    data in each forward pass, the bottom the top's diff in each backward pass."""

    any_precision = True
    refuses_in_place = True

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.flatten_param
        shape = bottom_shapes[0]
        first = self.axis(p.axis, len(shape))
        last = self.axis(p.end_axis, len(shape), "end_axis")
        if first > last:
            raise self.fail(f"axis {p.axis} lies behind end_axis {p.end_axis} in {shape}")
        return [(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].share_data(bottom[0])

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        bottom[0].share_diff(top[0])
