"""Bottoms whose values are indices: labels of a loss, rows of a table, items of a batch.

A wrong index must not reach memory.  On the CPU it is an error at once.  On a GPU the host does not
wait for the device: where the values lie on the host they are checked there, before the pass, and
the error is the same; where only the device has them they are clamped, and the first wrong one is
kept there until :meth:`IndexReader.raise_verdict` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch

from caffe.device import current
from caffe.layer import Layer, Shape

if TYPE_CHECKING:
    from caffe.blob import Blob


class Limits(NamedTuple):
    """What the values of a bottom of indices may be.

    Attributes:
        size: an index is 0 to ``size - 1``, after truncation toward zero.
        ignored: one more value that is allowed, or None.
        read: how many of the values are read, from the first on; None for all.
    """

    size: int
    ignored: int | None = None
    read: int | None = None

    def part(self, values: torch.Tensor) -> torch.Tensor:
        """The values that are read."""
        return values if self.read is None else values.reshape(-1)[: self.read]


class Wrong(NamedTuple):
    """A wrong index: its value, its position in ``shape``, and how many are wrong, if known."""

    value: float
    position: tuple[int, ...]
    shape: tuple[int, ...]
    wrong_ones: int | None = None

    def text(self, what: str, limits: Limits) -> str:
        return (
            f"{what} must be in [0, {limits.size}), got {self.value:g} at position "
            f"{self.position} of a bottom of {self.shape}"
        )


class IndexReader(Layer):
    """Base of the layers that take the values of one bottom, ``index_bottom``, for indices."""

    index_bottom: ClassVar[int] = 1
    truncates: ClassVar[bool] = True  # False: -0.5 is no index

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        """What the indices may be, for bottoms of these shapes."""
        raise NotImplementedError

    def wrong_index(self, wrong: Wrong, limits: Limits) -> Exception:
        """The error for a wrong index."""
        raise NotImplementedError

    def before_forward(self, bottom: list[Blob]) -> None:
        self._checked = False
        if current().torch_device.type == "cpu":
            return  # the pass checks what it reads
        blob = bottom[self.index_bottom]
        host = blob.host_data()
        if host is not None:
            limits = self.limits([b.dims for b in bottom])
            self._check(limits.part(torch.from_numpy(host).view(blob.dims)), limits)
            self._checked = True

    def indices(
        self, values: torch.Tensor, limits: Limits
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """``values`` (what ``limits`` reads of them) as int64 in range, 0 where ignored; and which
        are not ignored: None if all are, on a GPU only where no value is ever ignored.

        Raises :meth:`wrong_index` on the CPU; see :meth:`raise_verdict` for a GPU.
        """
        values = limits.part(values)
        index = (values if self.truncates else values.floor()).to(torch.int64)
        on_cpu = index.device.type == "cpu"
        counts = None if limits.ignored is None else index != limits.ignored
        if counts is not None and not (on_cpu and bool(counts.all())):
            index.mul_(counts)
        elif on_cpu:
            counts = None
        if not on_cpu:
            return self._clamped(index, values, limits), counts
        if index.numel():
            low, high = index.aminmax()  # one pass; a mask of what is out of range is two
            if int(low) < 0 or int(high) >= limits.size:
                self._check(values, limits)
        return index, counts

    def raise_verdict(self) -> None:
        place = 0 if self.verdict is None else int(self.verdict)
        if self.verdict is not None and place:
            self.verdict.zero_()
            limits, shape = self._judged
            wrong = Wrong(float(self._value), _position(place - 1, shape), shape)
            raise self.wrong_index(wrong, limits)

    def _check(self, values: torch.Tensor, limits: Limits) -> None:
        """Raise the error of the first of these values, on the host, that is wrong."""
        good = values > -1 if self.truncates else values >= 0
        good &= values < limits.size  # NaN is in no range
        if limits.ignored is not None:
            good |= values.trunc() == limits.ignored
        if not bool(good.all()):
            bad = ~good.reshape(-1)
            shape = tuple(values.shape)
            place = int(bad.to(torch.uint8).argmax())
            value = float(values.reshape(-1)[place])
            wrong = Wrong(value, _position(place, shape), shape, int(bad.sum()))
            raise self.wrong_index(wrong, limits)

    def _clamped(self, index: torch.Tensor, values: torch.Tensor, limits: Limits) -> torch.Tensor:
        safe = index.clamp(0, max(limits.size - 1, 0))
        if getattr(self, "_checked", False) or not index.numel():
            return safe
        if self.verdict is None or self.verdict.device != index.device:
            self.verdict = torch.zeros((), dtype=torch.int32, device=index.device)
            self._value = torch.zeros((), device=index.device)
        bad = (index != safe).reshape(-1).to(torch.uint8)
        place = bad.argmax().reshape(1)  # of the first
        found = (place + 1).mul_(bad.gather(0, place)).to(torch.int32).reshape(())
        value = values.reshape(-1).gather(0, place).reshape(())
        first = self.verdict == 0  # an earlier finding stays
        self._value.copy_(torch.where(first, value, self._value))
        self.verdict.copy_(torch.where(first, found, self.verdict))
        self._judged = limits, tuple(values.shape)
        return safe


def _position(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The position along each axis of the ``place``-th value in C order."""
    position: list[int] = []
    for size in reversed(shape):
        place, at = divmod(place, size)
        position.insert(0, at)
    return tuple(position)
