"""Slice: cut a blob along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer.concat import axis_or_old_name

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Slice")
class Slice(Layer):
    """Cut along ``axis`` (default 1; ``slice_dim`` is its old name) at each ``slice_point``, or
    into equal parts where none is given.  A single top shares its memory with the bottom."""

    any_precision = True
    tops = (1, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.points = list(self.param.slice_param.slice_point)
        if self.points and len(self.points) != self.num_tops - 1:
            raise self.fail(
                f"needs one slice_point fewer than tops: {len(self.points)} points, "
                f"{self.num_tops} tops",
                LayerError,
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        axis = axis_or_old_name(self, self.param.slice_param, "slice_dim", len(shape))
        self.cut_axis, size = axis, shape[axis]
        if self.points:
            edges = [0, *self.points, size]
            self.sizes = [b - a for a, b in zip(edges, edges[1:])]
            if any(n <= 0 for n in self.sizes):
                raise self.fail(
                    f"slice points must be strictly increasing and inside axis {axis} of the "
                    f"bottom {shape}: got {self.points}"
                )
        elif size % self.num_tops:
            raise self.fail(
                f"number of top blobs ({self.num_tops}) should evenly divide axis {axis} of the "
                f"bottom {shape}, or give slice_point"
            )
        else:
            self.sizes = [size // self.num_tops] * self.num_tops
        return [(*shape[:axis], n, *shape[axis + 1 :]) for n in self.sizes]

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape_blobs(bottom, top)
        if len(top) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        if len(top) > 1:
            super().forward_blobs(bottom, top)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        if len(top) > 1:
            super().backward_blobs(top, need, bottom)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return list(bottoms[0].split(self.sizes, self.cut_axis))

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        return [torch.cat(top_diffs, self.cut_axis) if need.bottoms[0] else None], []
