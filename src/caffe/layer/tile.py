"""Tile: copies of a blob side by side."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Tile")
class Tile(Layer):
    """``tiles`` copies one behind the other along ``axis`` (1); the gradient is summed over
    them."""

    refuses_in_place = True  # BVLC accepts it: the bottom then grows in every pass

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.tiles = self.param.tile_param.tiles
        if self.tiles <= 0:
            raise self.fail(f"tiles must be positive, got {self.tiles}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        self.tile_axis = self.axis(self.param.tile_param.axis, len(shape))
        top = list(shape)
        top[self.tile_axis] *= self.tiles
        return [tuple(top)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        times = [1] * bottoms[0].ndim
        times[self.tile_axis] = self.tiles
        return [bottoms[0].repeat(times)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        axis = self.tile_axis
        copies = top_diffs[0].unflatten(axis, (self.tiles, bottoms[0].shape[axis]))
        return [copies.sum(axis)], []
