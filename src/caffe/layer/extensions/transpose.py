"""Transpose: Permute under another name (recurrent nets that read text, CTPN)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Shape, register
from caffe.layer.extensions.permute import Permute


@register("Transpose")
class Transpose(Permute):
    """Axis i of the top is axis ``transpose_param.dim[i]`` of the bottom; ``dim`` names all."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        shape, dim = bottom_shapes[0], list(self.param.transpose_param.dim)
        if sorted(dim) != list(range(len(shape))):
            raise self.fail(
                f"dim must name each of the {len(shape)} axes of the bottom once, got {dim}",
                LayerError,
            )
        self.ndim, self.order = len(shape), dim
