"""Local: convolution with weights of its own at every place (as in DeepFace)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Local")
class Local(Layer):
    """N x C x H x W to N x num_output x H' x W', ``H' = (H + 2 pad - kernel_size) / stride + 1``
    rounded down.

    ``local_param`` as of Convolution, with one ``kernel_size``, ``stride`` (1) and ``pad`` (0) for
    both axes.  Weights: num_output x 1 x (C kernel_size^2) x (H' W'); bias: 1 x 1 x num_output x
    (H' W').  So the size of the bottom is fixed.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.local_param
        self.bottom_shape = bottom_shapes[0]
        if len(self.bottom_shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {self.bottom_shape}")
        for name in ("num_output", "kernel_size", "stride"):
            if getattr(p, name) < 1:
                raise self.fail(f"{name} must be positive, got {getattr(p, name)}", LayerError)
        self.kernel, self.stride, self.pad = p.kernel_size, p.stride, p.pad
        self.channels = p.num_output
        image = self.bottom_shape[2:]
        self.out = [(n + 2 * self.pad - self.kernel) // self.stride + 1 for n in image]
        if min(self.out) < 1:
            raise self.fail(
                f"kernel_size {self.kernel} does not fit the bottom {self.bottom_shape}"
            )
        places = self.out[0] * self.out[1]
        taps = self.bottom_shape[1] * self.kernel**2
        self.add_blob((self.channels, 1, taps, places), p.weight_filler)
        if p.bias_term:
            self.add_blob((1, 1, self.channels, places), p.bias_filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if shape[1:] != self.bottom_shape[1:]:
            raise self.fail(f"its weights are for pictures {self.bottom_shape[1:]}, got {shape}")
        return [(shape[0], self.channels, *self.out)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        windows = F.unfold(bottoms[0], self.kernel, padding=self.pad, stride=self.stride)
        y = torch.einsum("nkl,mkl->nml", windows, params[0][:, 0])
        if len(params) > 1:
            y = y + params[1][0]
        return [y.reshape(len(y), self.channels, *self.out)]
