"""One flag for many storages: whether anything has happened to any of them since it was raised.

Who computes with hundreds of weights would otherwise ask each of them before every pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Protocol

__all__ = ["Sentinel", "Watched"]


class Watched(Protocol):
    """What a sentinel can be set on: a ``Storage``."""

    def watch(self, sentinel: weakref.ref[Sentinel]) -> None:
        """Clear ``quiet`` of the sentinel, if it still lives, at the next thing that happens."""


class Sentinel:
    """``quiet`` until one of the storages that it was set on may have changed: its numbers, their
    place, whether they are deferred, or the shape of a blob that they belong to."""

    __slots__ = ("__weakref__", "quiet")

    def __init__(self, storages: Iterable[Watched] = ()) -> None:
        self.quiet = True
        own = weakref.ref(self)
        for storage in storages:
            storage.watch(own)
