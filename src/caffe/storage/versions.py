"""When a storage's numbers may have changed, who is told, and what is derived from them."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from caffe.device import Device, current
from caffe.sentinel import Sentinel
from caffe.storage.watcher import watching

__all__ = ["BOTH", "DEFERRED", "HOST", "TENSOR", "ZERO", "Versioned", "version_numbers"]

ZERO, HOST, TENSOR, BOTH, DEFERRED = "zero", "host", "tensor", "both", "deferred"
T = TypeVar("T")
version_numbers = itertools.count()  # of all storages: a blob may be given another one's memory


class Versioned:
    """What every change of the numbers is told to: ``_version`` is another one, and the sentinels
    are alerted."""

    def __init__(self) -> None:
        self.state = ZERO
        self.leases = 0
        self._version = next(version_numbers)
        self._handed_out = False  # an array was handed out since the version was last read
        self._cache: dict[str, tuple[int, Any]] = {}
        self._cached_on: Device | None = None
        self._sentinels: list[weakref.ref[Sentinel]] = []

    # What happens to the numbers ----------------------------------------------------------------

    def watch(self, sentinel: weakref.ref[Sentinel]) -> None:
        """Tell the sentinel of the next thing that happens to the numbers, once."""
        self._sentinels = [s for s in self._sentinels if s() is not None]
        self._sentinels.append(sentinel)

    def alert(self) -> None:
        """Tell the sentinels: the numbers, or which blob has them in which shape, may change."""
        sentinels, self._sentinels = self._sentinels, []
        for reference in sentinels:
            sentinel = reference()
            if sentinel is not None:
                sentinel.quiet = False

    # What is derived from the numbers -----------------------------------------------------------

    def version(self) -> int | None:
        """A number that stays the same only while the contents do, and that no other storage has;
        None while an array handed out is alive on the CPU or newest, because then nobody can know.
        """
        if self.leases and self.state == HOST:
            return None
        if self._handed_out:
            self._handed_out = self.leases > 0
            self._version = next(version_numbers)
        return self._version

    def is_still(self, version: int) -> bool:
        """Whether :meth:`version` would give this one, without a new one where it would not."""
        return self._version == version and not self._handed_out

    def cached(self, key: str, make: Callable[[], T]) -> T:
        """``make()``, remembered until the contents may have changed, or the device."""
        device = current()
        if device != self._cached_on:
            self._cache.clear()
            self._cached_on = device
        version = self.version()
        if watching.by is not None:
            found = self._cache.get(key) if version is not None else None
            valid = found is not None and found[0] == version
            return watching.by.derives(self, key, make, found if valid else None)  # type: ignore[arg-type]
        if version is not None:
            found = self._cache.get(key)
            if found is not None and found[0] == version:
                return found[1]
        value = make()
        if version is not None:
            self._cache[key] = (version, value)
        else:
            self._cache.pop(key, None)
        return value

    def forget(self) -> None:
        """Let go of all that :meth:`cached` remembers; it is made anew where it is asked for."""
        self._cache.clear()

    def renew(self, key: str, value: Any) -> None:
        """Remember ``value`` as what :meth:`cached` gives for the contents as they are now."""
        version = self.version()
        if version is not None:
            self._cache[key] = (version, value)
