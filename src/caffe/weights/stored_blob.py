"""One parameter as a file holds it: its shape, and where its numbers lie."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from caffe.errors import WeightsError

__all__ = ["Segment", "StoredBlob", "copy_all"]

_PIECE = 1 << 24  # bytes per task when several threads copy
_THREADS = min(2, os.cpu_count() or 1)  # two saturate the copy from the page cache


class Segment(NamedTuple):
    """``count`` numbers in the file, one every ``stride`` bytes from ``offset``.

    ``size`` is 2 for half precision, 4 for float and 8 for double.  The stride is larger where
    every number has a tag byte of its own before it; the number is then the last ``size`` bytes.
    """

    offset: int
    count: int  # type: ignore[assignment]  # hides tuple's method, which nobody needs here
    size: int
    stride: int

    def pieces(self) -> Iterable[Segment]:
        """The segment in parts of a size that threads can share out."""
        step = _PIECE // self.stride
        for begin in range(0, self.count, step):
            yield self._replace(
                offset=self.offset + begin * self.stride, count=min(step, self.count - begin)
            )

    def copy(self, buffer: Any, out: np.ndarray) -> None:
        """Copy the numbers to a flat float32 array of ``count`` elements."""
        length = self.count * self.stride
        raw = np.frombuffer(buffer, np.uint8, length, self.offset)
        if self.stride == self.size == 4:
            np.copyto(out.view(np.uint8), raw)
        else:
            numbers = raw.reshape(-1, self.stride)[:, self.stride - self.size :]
            out[:] = np.ascontiguousarray(numbers).view(f"<f{self.size}")[:, 0]
        _unmap(buffer, self.offset, length)


def _unmap(buffer: Any, offset: int, length: int) -> None:
    """Take the whole pages of a mapped file that were read out of the process's memory; they stay
    in the system's cache, and come back when they are read again."""
    if isinstance(buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        first = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = (offset + length - first) // mmap.PAGESIZE
        if pages > 0:
            buffer.madvise(mmap.MADV_DONTNEED, first, pages * mmap.PAGESIZE)


class StoredBlob:
    """A parameter (a BlobProto) in a file.

    ``shape`` is its shape; files from before 2015 have ``legacy`` instead, the four numbers num,
    channels, height and width.  ``data`` and ``diff`` say where the numbers lie in ``buffer``, a
    memory map of the file; ``unknown`` are the numbers of fields that nobody here knows; ``where``
    names file, layer and index for errors.
    """

    def __init__(
        self,
        where: str,
        buffer: Any = b"",
        shape: Sequence[int] = (),
        legacy: Sequence[int] | None = None,
        data: Sequence[Segment] = (),
        diff: Sequence[Segment] = (),
        unknown: Iterable[int] = (),
    ):
        self.where = where
        self.buffer = buffer
        self.shape = tuple(shape)
        self.legacy = None if legacy is None else tuple(legacy)
        self.data = list(data)
        self.diff = list(diff)
        self.unknown = sorted(unknown)

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as the file states it."""
        return self.shape if self.legacy is None else self.legacy

    def describe_shape(self) -> str:
        """As Caffe prints shapes: ``64 3 3 3 (1728)``."""
        return " ".join([*map(str, self.dims), f"({math.prod(self.dims)})"])

    @property
    def has_diff(self) -> bool:
        return bool(self.diff)

    def matches(self, shape: Sequence[int]) -> bool:
        """Whether a net's parameter of ``shape`` can take this, by BVLC Caffe's rule.

        A legacy shape must be that of the parameter with leading ones:

        >>> bias = StoredBlob("", legacy=(1, 1, 1, 64))
        >>> bias.matches((64,)), bias.matches((64, 1))
        (True, False)
        """
        shape = tuple(shape)
        if self.legacy is None:
            return self.shape == shape
        return len(shape) <= 4 and self.legacy == (1,) * (4 - len(shape)) + shape

    def check(self) -> None:
        """Raise WeightsError unless as many numbers are stored as the shape asks for."""
        expected = math.prod(self.dims)
        stored = {"values": self.data}
        if self.has_diff:
            stored["diff values"] = self.diff
        for what, segments in stored.items():
            count = sum(s.count for s in segments)
            if count != expected:
                why = "The file is damaged: get or write it again."
                if not count and self.unknown:
                    why = (
                        f"But it has the field {self.unknown[0]}, which neither BVLC Caffe nor "
                        "NVIDIA Caffe has: another fork wrote it. Save the weights there as BVLC "
                        "Caffe does, in single precision."
                    )
                raise WeightsError(
                    f"{self.where}: the shape {self.describe_shape()} needs {expected} {what}, the "
                    f"file holds {count}. {why}"
                )

    def copies(self, array: np.ndarray, diff: bool = False) -> list[Callable[[], None]]:
        """The copy of the values (or the diff) into ``array``, as independent steps.

        The array must be float32, C-contiguous and of as many elements.
        """
        segments = self.diff if diff else self.data
        count = sum(s.count for s in segments)
        if array.size != count or array.dtype != np.float32 or not array.flags.c_contiguous:
            raise WeightsError(
                f"{self.where}: {count} numbers do not go into an array of {array.size} "
                f"{array.dtype} elements; expected a C-contiguous float32 array of {count}"
            )
        flat = array.reshape(-1)
        steps: list[Callable[[], None]] = []
        done = 0
        for segment in segments:
            for piece in segment.pieces():
                steps.append(partial(piece.copy, self.buffer, flat[done : done + piece.count]))
                done += piece.count
        return steps

    def copy_to(self, array: np.ndarray) -> None:
        """Copy the values into ``array``, see :meth:`copies`."""
        self.check()
        copy_all(self.copies(array))

    def copy_diff_to(self, array: np.ndarray) -> None:
        """Copy the diff into ``array``; only where :attr:`has_diff`."""
        self.check()
        copy_all(self.copies(array, diff=True))

    def array(self) -> np.ndarray:
        """The values as a new array of the stored shape."""
        self.check()
        array = np.empty(self.dims, np.float32)
        copy_all(self.copies(array))
        return array


def copy_all(steps: Sequence[Callable[[], None]]) -> None:
    """Run copies by two threads: NumPy lets go of Python's lock while it copies."""
    if len(steps) < 4:
        for step in steps:
            step()
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda step: step(), steps):
            pass
