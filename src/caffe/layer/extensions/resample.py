"""Resample and Downsample: other image sizes by a filter (FlowNet)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.errors import LayerError
from caffe.kernels.division import divide
from caffe.layer import Layer, Shape, Tensors, register


class Resizer(Layer):
    """Base of the two: N x C x H x W to the size of a second bottom, or else of the settings."""

    bottoms = (1, 2)
    no_gradient = frozenset({1})
    refuses_in_place = True

    def wanted(self) -> tuple[int, int]:
        """Height and width that the settings name, 0 where they name none."""
        raise NotImplementedError

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, *others = bottom_shapes
        if any(len(s) != 4 for s in bottom_shapes):
            raise self.fail(f"the bottoms must have 4 axes (N, C, H, W), got {bottom_shapes}")
        self.size = tuple(others[0][2:]) if others else self.wanted()
        if min(self.size) < 1:
            raise self.fail(
                "needs a height and a width, or a second bottom of the size wanted; got "
                f"{self.size[0]} x {self.size[1]}",
                LayerError,
            )
        return [(*shape[:2], *self.size)]


@register("Resample")
class Resample(Resizer):
    """``resample_param``: ``height`` and ``width``; ``type`` NEAREST, LINEAR (default) or CUBIC
    (Catmull-Rom); ``antialias`` (true): a filter as wide as the step between pixels of the top,
    where either side shrinks.  ``factor`` is not used, as in FlowNet.

    With the steps fx = W / W' and fy = H / H', column i of the top lies at ``i fx + fy / 2 - 1/2``
    of the bottom, and row j at ``j fy + fx / 2 - 1/2``: FlowNet's rule, which gives the pixels'
    middles where both sides shrink alike.  Weights outside the image are left out, and the others
    divided by their sum.  NEAREST takes the border for what lies outside, where FlowNet reads
    other memory.

    FlowNet's layer has no gradient; this one has that of what it computes.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.resample_param
        if p.type == p.AREA:
            raise self.fail("only CUBIC, LINEAR and NEAREST are supported, got AREA", LayerError)

    def wanted(self) -> tuple[int, int]:
        p = self.param.resample_param
        return p.height, p.width

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        rows, columns = self.weights(x.shape[2:], x.device)
        return [rows @ x @ columns.T]

    def weights(
        self, old: Sequence[int], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The share of each old row in each new one, H' x H, and of each column, W' x W."""
        p = self.param.resample_param
        steps = [n / new for n, new in zip(old, self.size)]
        widths = steps if p.antialias and max(steps) > 1 else [1.0, 1.0]
        return (
            _filter(p, old[0], self.size[0], steps[0], steps[1], widths[0], device),
            _filter(p, old[1], self.size[1], steps[1], steps[0], widths[1], device),
        )


def _filter(
    p: Any, old: int, new: int, step: float, other: float, width: float, device: torch.device
) -> torch.Tensor:
    place = torch.arange(new, dtype=torch.float32, device=device) * step + other / 2 - 0.5
    pixel = torch.arange(old, device=device)
    if p.type == p.NEAREST:
        nearest = (place.abs() + 0.5).floor() * place.sign()  # C's round
        return (nearest.clamp(0, old - 1)[:, None] == pixel).float()
    far = divide(place[:, None] - pixel, width).abs()
    if p.type == p.LINEAR:
        weights = (1 - far).clamp_(min=0)
    else:
        near = far * far * (1.5 * far - 2.5) + 1
        weights = torch.where(far <= 1, near, far * (far * (2.5 - 0.5 * far) - 4) + 2)
        weights = torch.where(far < 2, weights, 0)
    total = weights.sum(1, keepdim=True)
    return torch.where(total == 0, 0, weights / total)


@register("Downsample")
class Downsample(Resizer):
    """``downsample_param``: ``top_height`` and ``top_width``.  The corner pixels stay where they
    are; each pixel is the mean of those less than a step of the top away, weighted by nearness.

    NaN stands for nothing known: such pixels are left out, and where they had more than half of
    the weight of the others the result is NaN.  A bottom of the size wanted is copied.

    FlowNet's layer has no gradient, nor has this one.
    """

    differentiable = False

    def wanted(self) -> tuple[int, int]:
        p = self.param.downsample_param
        return p.top_height, p.top_width

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shapes = super().reshape(bottom_shapes)
        self.copies = tuple(bottom_shapes[0][2:]) == self.size
        if not self.copies and min(*self.size, *bottom_shapes[0][2:]) < 2:
            raise self.fail(
                "corners can be kept from 2 pixels on: cannot make "
                f"{self.size[0]} x {self.size[1]} of {bottom_shapes[0]}"
            )
        return shapes

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.copies:
            return [x.clone()]
        rows, columns = self.weights(x.shape[2:], x.device)
        unknown = x.isnan()
        total, known, missing = (
            rows @ part @ columns.T
            for part in (x.masked_fill(unknown, 0), (~unknown).float(), unknown.float())
        )
        return [torch.where(missing > 0.5 * known, torch.nan, total / known)]

    def weights(
        self, old: Sequence[int], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weight of each old row in each new one, H' x H, and of each column, W' x W."""
        rows, columns = (_tents(n, new, device) for n, new in zip(old, self.size))
        return rows, columns


def _tents(old: int, new: int, device: torch.device) -> torch.Tensor:
    step = (old - 1) / (new - 1)
    place = torch.arange(new, dtype=torch.float32, device=device) * step
    pixel = torch.arange(old, device=device)
    return (1 - divide((place[:, None] - pixel).abs(), step)).clamp_(min=0)
