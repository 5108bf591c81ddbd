"""PReLU: ReLU with a learned slope for negative values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._keep import kept_copy


@register("PReLU")
class PReLU(Layer):
    """``max(x, 0) + a min(x, 0)`` with one slope a channel (axis 1), or one for all with
    ``channel_shared``; the slopes start at 0.25.  May work in place."""

    any_precision = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        from caffe.proto import caffe_pb2

        p = self.param.prelu_param
        shape = bottom_shapes[0]
        if len(shape) < 2:
            raise self.fail(f"the bottom needs a channel axis (axis 1), got {shape}")
        quarter = caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.shared = p.channel_shared
        self.add_blob(
            () if self.shared else (shape[1],), p.filler if p.HasField("filler") else quarter
        )
        self.saved: torch.Tensor | None = None  # the bottom, where it is overwritten

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) < 2 or not (self.shared or shape[1] == self.blobs[0].count):
            raise self.fail(f"it has {self.blobs[0].count} slopes, the bottom is {shape}")
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.in_place:
            self.saved = kept_copy(self.saved, x)
        return [torch.prelu(x, params[0].view(-1).to(x.dtype))]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        x, g = bottoms[0], top_diffs[0]
        if self.in_place:
            kept = self.saved
            fits = kept is not None and kept.shape == x.shape
            x = kept if kept is not None and fits else torch.zeros_like(x)  # no forward yet: zero
        bottom_diff = slope_diff = None
        if need.params[0]:
            axes = [a for a in range(x.ndim) if self.shared or a != 1]
            slope_diff = (g * x.clamp(max=0)).sum(axes, dtype=torch.float32).view(params[0].shape)
        if need.bottoms[0]:
            # No torch.where, which stumbles over random signs on the CPU.
            passed = torch.ops.aten.threshold_backward(g, x, 0.0)  # g where x > 0, else 0
            bottom_diff = passed + (g - passed).mul_(self._slopes(x, params[0]))
        return [bottom_diff], [slope_diff]

    def _slopes(self, x: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        return slopes if self.shared else slopes.view(-1, *([1] * (x.ndim - 2)))
