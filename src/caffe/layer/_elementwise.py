"""What the element-wise layers share: one bottom, one top of its shape, one local slope."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors


class Elementwise(Layer):
    """One bottom, one top of its shape.  Subclasses give ``forward`` and :meth:`_gradient`."""

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [bottom_shapes[0]]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        return [self._gradient(tops[0], top_diffs[0], bottoms[0])], []

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The bottom's diff from the top's values and diff and the bottom's values."""
        raise self.fail("has no gradient")
