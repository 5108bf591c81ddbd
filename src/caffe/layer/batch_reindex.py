"""BatchReindex: items of a batch chosen by index, in any order, any number of times."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import IndexReader, Limits, Wrong


@register("BatchReindex")
class BatchReindex(IndexReader):
    """``y[i] = x[index[i]]``: x is bottom 0 (N, ...), the index bottom 1 (M), y (M, ...).

    The gradient of an item is the sum over its uses.  The index has none: asking for it, as
    ``force_backward`` does, is an error, as in Caffe.
    """

    bottoms = 2
    truncates = False  # BVLC compares the float with 0
    refuses_in_place = True  # BVLC accepts it and reads items that it has overwritten

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, index = bottom_shapes
        if len(index) != 1:
            raise self.fail(f"the index (bottom 1) must have one axis, got {index}")
        if not shape:
            raise self.fail("bottom 0 needs a batch axis, got a blob without axes")
        return [(index[0], *shape[1:])]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(bottom_shapes[0][0])

    def wrong_index(self, wrong: Wrong, limits: Limits) -> LayerError:
        return self.fail(wrong.text("an index (bottom 1)", limits))

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
        return self.indices(bottoms[1], self.limits([bottoms[0].shape]))[0]
