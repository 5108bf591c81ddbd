"""Scale: multiply by a learned or given blob, optionally add a learned one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._broadcast import Broadcast, learned_shape
from caffe.layer._keep import kept_copy


@register("Scale")
class Scale(Layer):
    """``x s + b``, where s has the axes of x from ``axis`` (default 1) on, ``num_axes`` (1) of
    them: one value a channel by default.  May work in place.

    With one bottom s is learned (blob 0, ``filler`` 1); with two it is the second.  ``bias_term``
    adds a learned b of the same shape (the last blob, ``bias_filler`` 0).
    """

    bottoms = (1, 2)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        from caffe.proto import caffe_pb2

        p = self.param.scale_param
        self.learned = len(bottom_shapes) == 1
        shape = bottom_shapes[1] if not self.learned else learned_shape(self, p, bottom_shapes[0])
        if self.learned:
            one = caffe_pb2.FillerParameter(type="constant", value=1)
            self.add_blob(shape, p.filler if p.HasField("filler") else one)
        self.has_bias = p.bias_term
        if self.has_bias:
            self.add_blob(shape, p.bias_filler)
        self.saved: torch.Tensor | None = None  # the bottom, where it is overwritten

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        bottom = bottom_shapes[0]
        operand = self.blobs[0].dims if self.learned else bottom_shapes[1]
        self.geometry = Broadcast(self, bottom, operand, self.param.scale_param.axis)
        self.elementwise = self.geometry.outer * self.geometry.inner == 1
        return [bottom]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        scale = self.geometry.spread(params[0] if self.learned else bottoms[1])
        if self.in_place:
            self.saved = kept_copy(self.saved, x)
        if self.has_bias:
            return [torch.addcmul(self.geometry.spread(params[-1]), x, scale)]
        return [x.mul_(scale) if self.in_place else x * scale]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        g, x = top_diffs[0], bottoms[0]
        bottom_diffs: MaybeTensors = [None] * len(bottoms)
        param_diffs: MaybeTensors = [None] * len(params)
        if self.has_bias and need.params[-1]:
            param_diffs[-1] = self.geometry.gather(g)
        if need.params[0] if self.learned else need.bottoms[1]:
            if self.in_place:
                x = self._saved_like(x)
            product = g * x
            if self.learned:
                param_diffs[0] = self.geometry.gather(product)
            else:
                bottom_diffs[1] = self.geometry.gather(product)
            if self.in_place and not self.elementwise:
                # Caffe has no other room for the product: a second backward pass without a
                # forward pass between them starts from it.
                self.saved = product
        if need.bottoms[0]:
            scale = self.geometry.spread(params[0] if self.learned else bottoms[1])
            bottom_diffs[0] = g.mul_(scale) if self.in_place else g * scale
        return bottom_diffs, param_diffs

    def overwrites_param_diff(self, index: int) -> bool:
        """Caffe assigns the gradient of a learned scale instead of adding it where nothing has
        to be summed, or nothing over axes before the scale's own (a batch of one)."""
        if not self.learned or index != 0:
            return False
        return self.elementwise or (self.geometry.outer == 1 and self.geometry.size > 1)

    def _saved_like(self, x: torch.Tensor) -> torch.Tensor:
        if self.saved is None or self.saved.shape != x.shape:
            return torch.zeros_like(x)  # no forward yet: all zero, as in Caffe
        return self.saved
