"""SpatialTransformer: a picture seen through an affine map that the net computes (Jaderberg et al.
2015, in the form of the fork that most nets use)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.kernels.division import divide
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register

_NAMES = [f"theta_{row}_{column}" for row in (1, 2) for column in (1, 2, 3)]


@register("SpatialTransformer")
class SpatialTransformer(Layer):
    """N x C x H x W and theta N x 6 to N x C x H' x W'.

    The pixel at row r and column c of the top is that of the picture at row ``(p + 1) / 2 H`` and
    column ``(q + 1) / 2 W``, between pixels bilinearly and 0 outside, with
    ``(p, q) = theta (2 r / H' - 1, 2 c / W' - 1, 1)``, theta as 2 x 3: rows come first.

    ``st_param``: ``output_H`` and ``output_W``, the picture's by default; what ``theta_1_1`` to
    ``theta_2_3`` fix is not in the second bottom, which has the others in order.
    ``to_compute_dU: false`` gives the picture no gradient.
    """

    bottoms = 2

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.st_param
        for name, only in (("transform_type", "affine"), ("sampler_type", "bilinear")):
            if getattr(p, name) != only:
                raise self.fail(
                    f"{name} can be '{only}' alone, got '{getattr(p, name)}'", LayerError
                )
        self.fixed = {i: getattr(p, n) for i, n in enumerate(_NAMES) if p.HasField(n)}
        self.open = [i for i in range(6) if i not in self.fixed]
        self.given = [
            p.output_H if p.HasField("output_H") else None,
            p.output_W if p.HasField("output_W") else None,
        ]
        if not self.open:
            raise self.fail("all six numbers of theta are fixed; one at least is a bottom's")

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, theta = bottom_shapes
        if len(shape) != 4:
            raise self.fail(f"the picture must have 4 axes (N, C, H, W), got {shape}")
        if not theta or theta[0] != shape[0] or math.prod(theta[1:]) != len(self.open):
            raise self.fail(
                f"theta needs {len(self.open)} numbers for each of {shape[0]} pictures, got {theta}"
            )
        self.out = [n if given is None else given for given, n in zip(self.given, shape[2:])]
        if min(self.out) < 1:
            raise self.fail(f"the output would have the size {self.out}")
        return [(*shape[:2], *self.out)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, theta = bottoms
        rows, columns = self.places(theta, x)
        # grid_sample puts a pixel's middle half a pixel further, and wants columns first.
        half = [1 / n for n in x.shape[2:]]
        grid = torch.stack([columns + half[1], rows + half[0]], -1)
        return [F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)]

    def places(self, theta: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        """Where each pixel of the top is seen, p and q, from -1 to 1; N x H' x W' both."""
        free = theta.reshape(len(theta), -1)
        full = [
            free.new_full((len(free),), self.fixed[i])
            if i in self.fixed
            else free[:, self.open.index(i)]
            for i in range(6)
        ]
        row, column = self.coordinates(x.device)
        row, column = row[:, None], column[None, :]
        return [
            a.view(-1, 1, 1) * row + b.view(-1, 1, 1) * column + c.view(-1, 1, 1)
            for a, b, c in (full[:3], full[3:])
        ]

    def coordinates(self, device: torch.device | None = None) -> list[torch.Tensor]:
        """The rows and columns of the top, from -1 on; made on the device (the CPU by default)."""
        pixels = [torch.arange(n, dtype=torch.float32, device=device) for n in self.out]
        return [divide(p, n) * 2 - 1 for p, n in zip(pixels, self.out)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        diffs, _ = super().backward(tops, top_diffs, bottoms, params, need)
        if not self.param.st_param.to_compute_dU and need.bottoms[0]:
            diffs[0] = torch.zeros_like(bottoms[0])
        return diffs, []
