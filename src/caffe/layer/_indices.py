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
    from caffe.storage import Storage


# A verdict is the place of the wrong index, from 1, and this times the number of the bottom's shape
# and limits: passes of other shapes may follow before anybody reads it.
_PLACES = 1 << 32


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


_FEW = 64  # indices of which Python finds the least and the greatest sooner than PyTorch


class IndexReader(Layer):
    """Base of the layers that take the values of one bottom, ``index_bottom``, for indices."""

    index_bottom: ClassVar[int] = 1
    truncates: ClassVar[bool] = True  # False: -0.5 is no index
    _checked: tuple[Storage, int | None] | None = None  # the memory that the host has checked

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        """What the indices may be, for bottoms of these shapes."""
        raise NotImplementedError

    def wrong_index(self, wrong: Wrong, limits: Limits) -> Exception:
        """The error for a wrong index."""
        raise NotImplementedError

    def before_forward(self, bottom: list[Blob]) -> None:
        """Decide who checks: where the host does, and finds all right, a graph need not.

        A wrong index is no error yet: another layer of the pass may give the bottom other memory
        or numbers first.
        """
        values = self._on_host(bottom)
        right = values is not None and self._first_wrong(*values) is None
        self._checked = self._memory(bottom) if right else None
        self.variant = "checked" if right else None

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check_on_host(bottom)
        super().forward_blobs(bottom, top)

    def check_on_host(self, bottom: list[Blob]) -> None:
        """Raise :meth:`wrong_index` for indices of a GPU that lie on the host, unless
        :meth:`before_forward` has found them right."""
        values = self._on_host(bottom)
        if values is None:
            self._checked = None
        elif self._checked != self._memory(bottom):
            self._raise(self._first_wrong(*values), values[1])
            self._checked = self._memory(bottom)

    def _on_host(self, bottom: list[Blob]) -> tuple[torch.Tensor, Limits] | None:
        """What a GPU would read of indices that lie on the host, and what they may be."""
        if current().torch_device.type == "cpu" or len(bottom) <= self.index_bottom:
            return None  # on the CPU the pass checks what it reads
        blob = bottom[self.index_bottom]
        host = blob.host_data()
        if host is None:
            return None
        limits = self.limits([b.dims for b in bottom])
        return limits.part(torch.from_numpy(host).view(blob.dims)), limits

    def _memory(self, bottom: list[Blob]) -> tuple[Storage, int | None]:
        """What changes when the indices may have changed."""
        storage = bottom[self.index_bottom].data_storage
        return storage, storage.version()

    def _raise(self, wrong: Wrong | None, limits: Limits) -> None:
        if wrong is not None:
            raise self.wrong_index(wrong, limits)

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
            if index.numel() <= _FEW:
                few = index.reshape(-1).tolist()
                low, high = min(few), max(few)
            else:
                low, high = map(
                    int, index.aminmax()
                )  # a mask of what is out of range is two passes
            if low < 0 or high >= limits.size:
                self._raise(self._first_wrong(values, limits), limits)
        return index, counts

    def raise_verdict(self) -> None:
        found = 0 if self.verdict is None else int(self.verdict)
        if self.verdict is not None and found:
            self.verdict.zero_()
            kind, place = divmod(found, _PLACES)
            limits, shape = list(self._judged)[kind]
            wrong = Wrong(float(self._value), _position(place - 1, shape), shape)
            raise self.wrong_index(wrong, limits)

    def _first_wrong(self, values: torch.Tensor, limits: Limits) -> Wrong | None:
        """The first of these values, on the host, that is wrong."""
        good = values > -1 if self.truncates else values >= 0
        good &= values < limits.size  # NaN is in no range
        if limits.ignored is not None:
            good |= values.trunc() == limits.ignored
        if bool(good.all()):
            return None
        bad = ~good.reshape(-1)
        shape = tuple(values.shape)
        place = int(bad.to(torch.uint8).argmax())
        return Wrong(
            float(values.reshape(-1)[place]), _position(place, shape), shape, int(bad.sum())
        )

    def _clamped(self, index: torch.Tensor, values: torch.Tensor, limits: Limits) -> torch.Tensor:
        safe = index.clamp(0, max(limits.size - 1, 0))
        if self._checked is not None or not index.numel():
            return safe
        if self.verdict is None:
            self._judged: dict[tuple[Limits, Shape], int] = {}  # bottoms by number: see _PLACES
        if self.verdict is None or self.verdict.device != index.device:
            self.verdict = torch.zeros((), dtype=torch.int64, device=index.device)
            self._value = torch.zeros((), device=index.device)
        bad = (index != safe).reshape(-1).to(torch.uint8)
        place = bad.argmax().reshape(1)  # of the first
        kind = self._judged.setdefault((limits, tuple(values.shape)), len(self._judged))
        found = (place + (kind * _PLACES + 1)).mul_(bad.gather(0, place)).reshape(())
        value = values.reshape(-1).gather(0, place).reshape(())
        first = self.verdict == 0  # an earlier finding stays
        self._value.copy_(torch.where(first, value, self._value))
        self.verdict.copy_(torch.where(first, found, self.verdict))
        return safe


def _position(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The position along each axis of the ``place``-th value in C order."""
    position: list[int] = []
    for size in reversed(shape):
        place, at = divmod(place, size)
        position.insert(0, at)
    return tuple(position)
