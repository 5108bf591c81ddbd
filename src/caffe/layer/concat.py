"""Concat: join blobs along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Concat")
class Concat(Layer):
    """Bottoms equal but for ``axis`` (default 1; ``concat_dim`` is its old name).  A single
    bottom shares its memory with the top."""

    any_precision = True
    bottoms = (1, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.join_axis = axis_or_old_name(
            self, self.param.concat_param, "concat_dim", len(bottom_shapes[0])
        )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        first, axis = bottom_shapes[0], self.join_axis
        for i, shape in enumerate(bottom_shapes):
            if len(shape) != len(first) or any(
                a != b for j, (a, b) in enumerate(zip(shape, first)) if j != axis
            ):
                raise self.fail(
                    f"all inputs must have the same shape, except at axis {axis}: bottom 0 is "
                    f"{first}, bottom {i} is {shape}"
                )
        self.sizes = [shape[axis] for shape in bottom_shapes]
        return [(*first[:axis], sum(self.sizes), *first[axis + 1 :])]

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape_blobs(bottom, top)
        if len(bottom) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        if len(bottom) > 1:
            super().forward_blobs(bottom, top)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        if len(bottom) > 1:
            super().backward_blobs(top, need, bottom)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [torch.cat(bottoms, self.join_axis)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        parts = top_diffs[0].split(self.sizes, self.join_axis)
        return [d if n else None for d, n in zip(parts, need.bottoms)], []


def axis_or_old_name(layer: Layer, settings: Any, old: str, ndim: int) -> int:
    """``axis``, or its unsigned predecessor; not both."""
    if not settings.HasField(old):
        return layer.axis(settings.axis, ndim)
    if settings.HasField("axis"):
        raise layer.fail(f"either axis or {old} should be specified, not both", LayerError)
    value = getattr(settings, old)
    if value >= ndim:
        raise layer.fail(f"{old} {value} out of range for a blob of {ndim} axes")
    return value
