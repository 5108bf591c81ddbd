"""Batch normalization that learns, with a scale by channel, a sum and an activation after it, on
the CPU: by the native kernels, or by PyTorch's operators where these cannot be used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch

from caffe.native import norm as native
from caffe.native.norm import Act

__all__ = ["Backward", "Normal", "forward"]

aten = torch.ops.aten


class Backward(NamedTuple):
    """The gradients of x, of the scale and of the shift, and on request of the sum before the
    activation; ``through()`` computes that one again."""

    x: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor
    passed: torch.Tensor | None
    through: Callable[[], torch.Tensor]


class Normal(ABC):
    """What a forward pass keeps for the gradient.

    Attributes:
        x: the input, which must keep its numbers.
        mean, inverse: by channel; 1 / sqrt(variance + eps).
        stored: whether these are constants.
        needs_result: whether :meth:`backward` is to be given the forward pass's result.
    """

    x: torch.Tensor
    mean: torch.Tensor
    inverse: torch.Tensor
    stored: bool
    needs_result: bool

    def __init__(self, factor: torch.Tensor, offset: torch.Tensor) -> None:
        self._factor, self._offset = factor, offset

    @abstractmethod
    def backward(
        self, given: Sequence[torch.Tensor], y: torch.Tensor | None, passes: bool
    ) -> Backward:
        """The gradients for that of the result, one or two that are to be added; with ``passes``
        the sum's too."""

    def values(self) -> torch.Tensor:
        """The normalized input, without the scale."""
        return (self.x - self.mean.view(-1, 1, 1)).mul_(self.inverse.view(-1, 1, 1))

    def scaled(self) -> torch.Tensor:
        """What the sum and the activation were given."""
        d = self.x - self.mean.view(-1, 1, 1)
        return torch.addcmul(self._offset.view(-1, 1, 1), d, self._factor.view(-1, 1, 1))


def forward(
    x: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor | None,
    statistics: Sequence[torch.Tensor],
    eps: float,
    decay: float | None,
    act: Act | None,
    other: torch.Tensor | None,
) -> tuple[torch.Tensor, Normal]:
    """``act((x - mean) / sqrt(variance + eps) scale + shift + other)`` for x (N, C, H, W), float32.

    ``statistics`` are BatchNorm's three blobs.  With ``decay`` they take in the batch's mean and
    variance, which are used; with None they are used themselves.
    """
    mean, variance, number = statistics
    if native.applies(x):
        if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
            x = x.contiguous()
        blobs = mean, variance, number
        y, kept = native.forward(x, scale, shift, blobs, eps, decay, act, other)
        return y, _Native(x, kept, decay is None, act, other is not None)
    if decay is None:
        by = torch.where(number == 0, 0.0, 1 / number)
        mean, inverse = mean * by, (variance * by + eps).rsqrt_()
        y = aten.native_batch_norm(x, scale, shift, mean, variance * by, False, 0.0, eps)[0]
    else:
        found, spread = torch.zeros_like(mean), torch.zeros_like(mean)
        y, mean, inverse = aten.native_batch_norm(x, scale, shift, found, spread, True, 1.0, eps)
        number.mul_(decay).add_(1)
        statistics[0].mul_(decay).add_(found)
        variance.mul_(decay).add_(spread)  # times m / (m - 1), as Caffe's
    if other is not None:
        y += other
    if act is not None:
        y.clamp_(*act)
    return y, _Plain(x, scale, shift, mean, inverse, decay is None, act, eps)


class _Native(Normal):
    def __init__(
        self, x: torch.Tensor, kept: torch.Tensor, stored: bool, act: Act | None, added: bool
    ) -> None:
        super().__init__(kept[native.FACTOR], kept[native.OFFSET])
        self.x, self.stored, self._kept, self._act = x, stored, kept, act
        self.mean, self.inverse = kept[native.MEAN], kept[native.INVERSE]
        self.needs_result = added and act is not None

    def backward(
        self, given: Sequence[torch.Tensor], y: torch.Tensor | None, passes: bool
    ) -> Backward:
        of = tuple(given), self.x, self._kept, self.stored, self._act, y
        found = native.backward(*of, passes=passes)

        def through() -> torch.Tensor:
            if self._act is None:
                return _total(given)
            return cast(torch.Tensor, native.backward(*of, passes=True).passed)

        return Backward(*found, through)


class _Plain(Normal):
    def __init__(
        self,
        x: torch.Tensor,
        scale: torch.Tensor,
        shift: torch.Tensor | None,
        mean: torch.Tensor,
        inverse: torch.Tensor,
        stored: bool,
        act: Act | None,
        eps: float,
    ) -> None:
        factor = scale * inverse
        super().__init__(factor, torch.zeros_like(factor) if shift is None else shift.clone())
        self.x, self.mean, self.inverse, self.stored = x, mean, inverse, stored
        self._scale, self._act, self._eps = scale, act, eps
        self.needs_result = act is not None

    def backward(
        self, given: Sequence[torch.Tensor], y: torch.Tensor | None, passes: bool
    ) -> Backward:
        # Two memory formats at once take ten times as long.
        last = self.x.stride(1) == 1
        g = _total(given).contiguous(
            memory_format=torch.channels_last if last else torch.contiguous_format
        )

        def through() -> torch.Tensor:
            if self._act is None or y is None:
                return g
            low, high = self._act
            return torch.where((y <= low) | (y >= high), 0.0, g)

        e = through()
        of: list[torch.Tensor | None] = [None, None, self.mean, self.inverse]
        if self.stored:
            # The variance that has this deviation.
            of = [self.mean, self.inverse.reciprocal().square_().sub_(self._eps), None, None]
        dx, dscale, dshift = aten.native_batch_norm_backward(
            e, self.x, self._scale, *of, not self.stored, self._eps, [True] * 3
        )
        passed = (e.clone() if e is g else e) if passes else None
        return Backward(dx, dscale, dshift, passed, through)


def _total(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]
