"""Correlation and Correlation1D: how well patches of two maps fit at displacements (FlowNet)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Correlation")
class Correlation(Layer):
    """Two maps N x C x H x W to N x D^2 x H' x W', one channel a displacement (dy, dx), rows
    outside, from ``-r stride_2`` to ``r stride_2`` in steps of ``stride_2``, with r =
    ``max_displacement`` / ``stride_2`` rounded down and D = 2 r + 1.

    Both maps get ``pad`` zeros on each side.  A value is the mean over the channels and over a
    patch of ``kernel_size`` x ``kernel_size`` pixels of the first map times the second one at the
    displacement; with ``correlation_type`` SUBTRACT of the absolute values of their difference.
    Patches begin at the pixel (``max_displacement``, ``max_displacement``) and every ``stride_1``
    pixels, as far as the displaced ones fit: H' = (H + 2 pad - 2 max_displacement - kernel_size
    + 1) / stride_1, rounded up.

    ``do_abs`` changes nothing, as in FlowNet.  Both maps get their gradient; FlowNet's own of
    SUBTRACT takes the sign from other pixels than those that were subtracted.
    """

    bottoms = 2
    refuses_in_place = True
    tall = True  # displacements up and down as well

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.correlation_param
        for name in ("kernel_size", "max_displacement"):
            if not p.HasField(name):
                raise self.fail(f"correlation_param needs {name}", LayerError)
        if p.kernel_size % 2 == 0:
            raise self.fail(f"kernel_size must be odd, got {p.kernel_size}", LayerError)
        if not p.stride_1 or not p.stride_2:
            raise self.fail("stride_1 and stride_2 must be positive", LayerError)
        self.kernel, self.far, self.pad = p.kernel_size, p.max_displacement, p.pad
        self.stride, self.subtracts = p.stride_1, p.correlation_type == p.SUBTRACT
        radius, step = self.far // p.stride_2, p.stride_2
        around = [n * step for n in range(-radius, radius + 1)]
        self.down = around if self.tall else [0]
        self.across = self.one_way(radius, step) or around

    def one_way(self, radius: int, step: int) -> list[int]:
        """Displacements along the rows where they are not those of both directions."""
        return []

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        a, b = bottom_shapes
        if len(a) != 4 or tuple(a) != tuple(b):
            raise self.fail(f"the bottoms must be of one shape N x C x H x W, got {a} and {b}")
        tall = a[2] + (2 * (self.pad - self.far) if self.tall else 0) - self.kernel + 1
        wide = a[3] + 2 * (self.pad - self.far) - self.kernel + 1
        if min(tall, wide) < 1:
            raise self.fail(
                f"no patch of {self.kernel} pixels has displacements of {self.far} on every side "
                f"in a map of {a[2]} x {a[3]} with a pad of {self.pad}: raise pad, or lower "
                "max_displacement"
            )
        self.size = [-(-n // self.stride) for n in (tall, wide)]
        return [(a[0], len(self.down) * len(self.across), *self.size)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        a, b = bottoms
        start = self.far - self.pad  # of the first patch, in pixels of the map
        top = start if self.tall else 0
        # Pixels that patches cover, at stride 1: what `stride_1` leaves out is dropped at the end.
        tall, wide = ((n - 1) * self.stride + self.kernel for n in self.size)
        first = _part(a, top, start, tall, wide)
        left = start + min(self.across)
        reach = wide + max(self.across) - min(self.across)
        places = [dx - min(self.across) for dx in self.across]
        highest = min(self.down)
        second = _part(b, top + highest, left, tall + max(self.down) - highest, reach)
        rows = [
            self._fit(first, second[:, :, dy - highest : dy - highest + tall], places)
            for dy in self.down
        ]
        found = torch.cat(rows, 1)
        if self.kernel > 1 or self.stride > 1:
            found = F.avg_pool2d(found, self.kernel, self.stride)
        return [found.contiguous()]

    def _fit(self, a: torch.Tensor, b: torch.Tensor, places: list[int]) -> torch.Tensor:
        """Means over the channels of ``a``, N x C x h x w, and ``b`` from each place on."""
        wide = a.shape[3]
        if self.subtracts:
            fits = [(a - b[..., place : place + wide]).abs().mean(1) for place in places]
            return torch.stack(fits, 1)
        # All pixels of a row times all of the other; those a displacement apart form diagonals.
        products = a.permute(0, 2, 3, 1) @ b.permute(0, 2, 1, 3)  # (N, h, w, w')
        fits = [products.diagonal(place, 2, 3)[..., :wide] for place in places]
        return torch.stack(fits, 1) / a.shape[1]  # (N, places, h, w)


@register("Correlation1D")
class Correlation1D(Correlation):
    """:class:`Correlation` with displacements along the rows alone: N x D x H' x W', with no pad
    above and below; H' = (H - kernel_size + 1) / stride_1, rounded up.

    ``single_direction`` 1: displacements from 0 to ``r stride_2``, D = r + 1.  -1: from
    ``-(r + 1) stride_2`` to ``-stride_2``, as many; the farthest reaches beyond the pad, where
    there is 0.
    """

    tall = False

    def one_way(self, radius: int, step: int) -> list[int]:
        direction = self.param.correlation_param.single_direction
        if direction not in (-1, 0, 1):
            raise self.fail(f"single_direction must be -1, 0 or 1, got {direction}", LayerError)
        first = {-1: -radius - 1, 0: 0, 1: 0}[direction]
        return [n * step for n in range(first, first + radius + 1)] if direction else []


def _part(x: torch.Tensor, top: int, left: int, tall: int, wide: int) -> torch.Tensor:
    """A window of the map, zeros where it lies outside."""
    above, before = max(0, -top), max(0, -left)
    below, behind = max(0, top + tall - x.shape[2]), max(0, left + wide - x.shape[3])
    x = F.pad(x, (before, behind, above, below))
    return x[:, :, top + above : top + above + tall, left + before : left + before + wide]
