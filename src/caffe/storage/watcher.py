"""Who watches what layers do with storages while a pass is recorded (net/replay.py)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from caffe.storage import Storage

__all__ = ["Watcher", "watched", "watching"]

T = TypeVar("T")


class Watcher(Protocol):
    """Is told what layers do with storages while a pass is recorded (net/replay.py)."""

    def reads(self, storage: Storage, shape: Sequence[int]) -> torch.Tensor:
        """Answers :meth:`Storage.tensor`."""

    def changes(self, storage: Storage) -> None:
        """Called before a storage's contents change."""

    def derives(
        self, storage: Storage, key: str, make: Callable[[], T], found: tuple[int, T] | None
    ) -> T:
        """Answers :meth:`Storage.cached`; ``found`` is the version and the value it holds."""


class _Watching(threading.local):
    by: Watcher | None = None


watching = _Watching()


@contextlib.contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Let ``by`` watch what the calling thread does with storages."""
    watching.by = by
    try:
        yield
    finally:
        watching.by = None
