"""BatchReindex: items of a batch chosen by index, in any order, any number of times."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._index import checked_index


@register("BatchReindex")
class BatchReindex(Layer):
    """``y[i] = x[index[i]]``: x is bottom 0 (N, ...), the index bottom 1 (M), y (M, ...).

    The gradient of an item is the sum over its uses.  The index has none: asking for it, as
    ``force_backward`` does, is an error, as in Caffe.
    """

    bottoms = 2
    refuses_in_place = True  # BVLC accepts it and reads items that it has overwritten

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, index = bottom_shapes
        if len(index) != 1:
            raise self.fail(f"the index (bottom 1) must have one axis, got {index}")
        if not shape:
            raise self.fail("bottom 0 needs a batch axis, got a blob without axes")
        return [(index[0], *shape[1:])]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].index_select(0, self._index(bottoms))]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if need.bottoms[1]:
            raise self.fail("cannot propagate down to the index (bottom 1)", LayerError)
        if not need.bottoms[0]:
            return [None, None], []
        diff = torch.zeros_like(bottoms[0])
        return [diff.index_add_(0, self._index(bottoms), top_diffs[0]), None], []

    def _index(self, bottoms: Tensors) -> torch.Tensor:
        return checked_index(self, bottoms[1], bottoms[0].shape[0], "an index (bottom 1)")
