"""Embed: rows of a learned table, chosen by index."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import IndexReader, Limits, Wrong


@register("Embed")
class Embed(IndexReader):
    """``weights[index] + bias``: a bottom of indices (any shape), a top of that shape and one more
    axis of ``num_output``.

    Weights: (input_dim, num_output); bias: (num_output), unless ``bias_term`` is false.  Indices
    are rounded toward zero; one outside the table is an error (BVLC reads foreign memory), and so
    is asking for the bottom's gradient, as ``force_backward`` does.
    """

    index_bottom = 0
    refuses_in_place = True  # BVLC accepts it: the bottom then grows in every pass

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.embed_param
        for what in ("num_output", "input_dim"):
            if getattr(p, what) <= 0:
                raise self.fail(f"needs {what}, a positive number", LayerError)
        self.num_output, self.input_dim = p.num_output, p.input_dim
        self.add_blob((self.input_dim, self.num_output), p.weight_filler)
        if p.bias_term:
            self.add_blob((self.num_output,), p.bias_filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [(*bottom_shapes[0], self.num_output)]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(self.input_dim)

    def wrong_index(self, wrong: Wrong, limits: Limits) -> LayerError:
        return self.fail(wrong.text("an index", limits))

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        y = torch.nn.functional.embedding(self._index(bottoms[0]), params[0])
        return [y.add_(params[1]) if len(params) > 1 else y]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if need.bottoms[0]:
            raise self.fail("cannot propagate down to its indices (bottom 0)", LayerError)
        g = top_diffs[0].reshape(-1, self.num_output)
        diffs: MaybeTensors = [None] * len(params)
        if need.params[0]:
            index = self._index(bottoms[0]).flatten()
            diffs[0] = torch.zeros_like(params[0]).index_add_(0, index, g)
        if len(params) > 1 and need.params[1]:
            diffs[1] = g.sum(0)
        return [None], diffs

    def _index(self, x: torch.Tensor) -> torch.Tensor:
        return self.indices(x, self.limits([]))[0]
