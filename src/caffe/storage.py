"""One blob's memory, and the one rule of who holds the newest copy.

A storage keeps up to two copies of its numbers: the *host* copy, a flat NumPy array that user code
sees through ``blob.data``, and the *tensor*, what the layers compute with, on the compute device
and in whatever memory layout a layer produced.  ``state`` says which is newest:

    ZERO    all zeros, nothing allocated yet
    HOST    the host copy (on the CPU, layers then compute right in it)
    TENSOR  the tensor
    BOTH    they agree
    DEFERRED  neither: a function gives the numbers when somebody asks for them

A write through a NumPy array tells nobody.  So every array handed out is backed by a *lease*, an
object that lives as long as the array or any view derived from it.  While a lease is alive:

* on the CPU the host copy is always the truth, and layers write into it, so that an array kept
  across passes shows each new result, as BVLC's CPU arrays do;
* on a device the host counts as written, unless the device wrote later; then the array is
  refreshed when ``blob.data`` is next asked for, as with BVLC's GPU arrays.

``numbers`` is a read that is no lease: for what the engine itself looks at or writes to a file.

``version`` changes whenever the numbers may have, and no two storages have the same one: what is
derived from them (packed weights) is kept in ``cached`` and made anew when the version or the
device differs.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch

from caffe._planes import copy_planes
from caffe.device import Device, current
from caffe.sentinel import Sentinel

__all__ = ["Storage", "Watcher", "watched"]

ZERO, HOST, TENSOR, BOTH, DEFERRED = "zero", "host", "tensor", "both", "deferred"
_LARGE = 1 << 20  # numbers of a tensor whose memory is kept for the next ones
T = TypeVar("T")
_versions = itertools.count()  # of all storages: a blob may be given another one's memory


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


_watching = _Watching()


@contextlib.contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Let ``by`` watch what the calling thread does with storages."""
    _watching.by = by
    try:
        yield
    finally:
        _watching.by = None


class _Lease:
    """The object behind an array that was handed out (NumPy keeps it alive through ``base``)."""

    __slots__ = ("__array_interface__", "host", "owner", "storage")

    def __init__(self, storage: Storage, host: np.ndarray, shape: Sequence[int], owner: Any):
        self.storage = storage
        self.host = host  # the storage's, kept alive
        self.owner = owner
        self.__array_interface__ = {
            "shape": tuple(shape),
            "typestr": "<f4" if sys.byteorder == "little" else ">f4",
            "data": (storage.address(), False),
            "version": 3,
        }
        storage.leases += 1

    def __del__(self) -> None:
        self.storage.leases -= 1


class Storage:
    """``capacity`` float32 numbers, zero at first.  A blob may use fewer than the capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.state = ZERO
        self.leases = 0
        self._host: np.ndarray | None = None
        self._alias: torch.Tensor | None = None  # the host copy, seen by PyTorch
        self._tensor: torch.Tensor | None = None
        # What tensor() has given on the CPU, and for which shape: the tensor in the state TENSOR,
        # a view of the alias in the state HOST; None where that may no longer be right.
        self._given: tuple[str, tuple[int, ...], torch.Tensor] | None = None
        self._version = next(_versions)
        self._handed_out = False  # an array was handed out since the version was last read
        self._views: dict[tuple[int, ...], torch.Tensor] = {}  # the tensor under other shapes
        self._cache: dict[str, tuple[int, Any]] = {}
        self._cached_on: Device | None = None
        self._make: Callable[[], torch.Tensor] | None = None  # in the state DEFERRED
        self._lent = False  # somebody counts on the tensor's numbers
        self._sentinels: list[weakref.ref[Sentinel]] = []
        self._borrowers: list[weakref.ref[Any]] = []  # who does, while they live
        self._spare: torch.Tensor | None = None  # memory kept for the next numbers

    @classmethod
    def around(cls, memory: np.ndarray) -> Storage:
        """A storage whose host copy is ``memory`` itself: flat, writable, float32."""
        storage = cls(memory.size)
        storage._host = memory
        storage.state = HOST
        return storage

    def use_host(self, memory: np.ndarray) -> None:
        """Take ``memory``, flat, writable float32 of the capacity, as the host copy itself."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        self._drop()
        self._make = self._alias = self._spare = None
        self._host = memory
        self.state = HOST

    # For users: NumPy ---------------------------------------------------------------------------

    def array(self, shape: Sequence[int], owner: Any = None) -> np.ndarray:
        """A C-contiguous, writable array of the newest numbers, sharing this storage's memory.

        The array stays valid when the blob later moves to other memory; it then keeps the old.
        """
        self._settle()
        host = self._newest_host()
        self.state = HOST
        self._handed_out = True
        if self._sentinels:
            self.alert()
        return np.asarray(_Lease(self, host, shape, owner))

    def fill(self, shape: Sequence[int], values: Any) -> None:
        """``array(shape)[...] = values``, without the array."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._settle()
        host = self._newest_host()
        self.state = HOST
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        target = host if len(host) == math.prod(shape) else host[: math.prod(shape)]
        target.reshape(shape)[...] = values

    def numbers(self, shape: Sequence[int]) -> np.ndarray:
        """The newest numbers, C-contiguous and read-only, to be used at once: no array is handed
        out, nothing has to go up to the device again.

        It may share this storage's memory, and then changes with it.
        """
        self._settle()
        if self.state == ZERO:
            values = np.zeros(shape, np.float32)
        elif self.state == TENSOR:
            t = self._held_tensor().detach()
            n = math.prod(shape)
            if n <= t.numel():
                values = t.reshape(-1)[:n].float().cpu().numpy().reshape(shape)
            else:  # the rest is in the host copy
                values = self._newest_host()[:n].reshape(shape)
        else:
            values = self._allocated_host()[: math.prod(shape)].reshape(shape)
        values.flags.writeable = False
        return values

    def address(self) -> int:
        """Where the host copy lies; there must be one."""
        if self._alias is not None:  # NumPy takes ten times as long to tell
            return self._alias.data_ptr()
        return int(cast(np.ndarray, self._host).ctypes.data)

    def newest_on_host(self) -> np.ndarray | None:
        """The host copy while it is the newest or equal to it, None otherwise; no lease."""
        self._settle()
        if self.state == ZERO:
            return np.zeros(self.capacity, np.float32)
        return self._host if self.state in (HOST, BOTH) else None

    # For layers: tensors ------------------------------------------------------------------------

    def tensor(self, shape: Sequence[int]) -> torch.Tensor:
        """The newest numbers as a tensor of ``shape`` on the calling thread's device.

        Writing into it is allowed and must be followed by :meth:`touch`.
        """
        by = _watching.by
        return self.newest(shape) if by is None else by.reads(self, shape)

    def newest(self, shape: Sequence[int]) -> torch.Tensor:
        """:meth:`tensor`, unwatched."""
        if self._make is not None:
            self._settle()
        device = current()
        if device.shares_host:
            given = self._given
            if given is not None and given[0] == self.state and given[1] == shape:
                if not self.leases or self.state == HOST:
                    return given[2]
            return self._tensor_in_host_memory(tuple(shape))
        return self._tensor_on_device(tuple(shape), device)

    def _tensor_in_host_memory(self, shape: tuple[int, ...]) -> torch.Tensor:
        n = math.prod(shape)
        if self.state in (TENSOR, BOTH) and not self.leases:
            t = self._held_tensor()
            if t.is_cpu:
                if t.shape == shape:
                    if self.state == TENSOR:
                        self._given = TENSOR, shape, t
                    return t
                if t.numel() == n and t.is_contiguous():
                    return t.view(shape)
        host = self._newest_host()
        self.state = HOST
        self._drop()
        if self._alias is None:
            self._alias = torch.from_numpy(host)
        flat = self._alias if n == self.capacity else self._alias[:n]
        view = flat.view(shape)
        self._given = HOST, shape, view
        return view

    def _tensor_on_device(self, shape: tuple[int, ...], device: Device) -> torch.Tensor:
        where = device.torch_device
        n = math.prod(shape)
        if self.state == ZERO:
            self.state = TENSOR
            return self._keep(torch.zeros(shape, device=where))
        if self.state != HOST:
            t = self._held_tensor()
            if t.device != where and "cpu" not in (t.device.type, where.type):
                t = self._keep(t.to(where))
            if t.device == where:
                if t.shape == shape:
                    return t
                if n <= t.numel():
                    return self._view(shape)
                if self._host is None:  # the shape has grown, and beyond the tensor all is zero
                    grown = torch.zeros(n, dtype=t.dtype, device=where)
                    grown[: t.numel()] = t.reshape(-1)
                    return self._keep(grown.view(shape))
        host = self._newest_host()
        uploaded = self._keep(device.upload(host[:n]).view(shape))
        # While somebody holds an array the host may change again at any moment.
        self.state = HOST if self.leases else BOTH
        return uploaded

    def _view(self, shape: tuple[int, ...]) -> torch.Tensor:
        """The first numbers of the tensor under another shape, the same object each time."""
        view = self._views.get(shape)
        if view is None:
            t = self._held_tensor()
            if not t.is_contiguous():
                t = self._keep(t.contiguous())
            view = self._views[shape] = t.view(-1)[: math.prod(shape)].view(shape)
        return view

    def _held_tensor(self) -> torch.Tensor:
        """The storage's tensor, in the states that have one: TENSOR and BOTH."""
        return cast(torch.Tensor, self._tensor)

    def _keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Make it the storage's tensor."""
        self._drop()
        self._tensor = tensor
        return tensor

    def _drop(self) -> None:
        """Let go of the tensor."""
        self._tensor = self._given = None
        self._lent = False
        if self._borrowers:
            self._borrowers.clear()
        if self._views:
            self._views.clear()

    def write(self, value: torch.Tensor) -> None:
        """Take ``value`` as the new contents; it may become this storage's own memory."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        self._spare = None
        device = current()
        if device.shares_host and self.leases:
            host = self._allocated_host()
            n = value.numel()
            if self._alias is None:
                self._alias = torch.from_numpy(host)
            target = self._alias[:n].view(value.shape)
            if target.data_ptr() != value.data_ptr():
                copy_planes(target, value)
            self._drop()
            self._make = None
            self.state = HOST
            return
        if not device.shares_host or self.state != HOST or not self._is_own_host(value):
            self._make = self._given = None
            self._lent = False
            if self._views:
                self._views.clear()
            self._tensor = value
            self.state = TENSOR
            if device.shares_host:
                self._host = self._alias = None

    def to_fill(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Contiguous memory that the caller fills at once, on the CPU: its numbers are the new
        contents, and arrays that were handed out show them."""
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        self._make = self._spare = None
        given = self._given
        if self.state == HOST and given is not None and given[0] == HOST and given[1] == shape:
            return given[2]
        self._drop()
        self.state = HOST
        return self._tensor_in_host_memory(shape)

    def add(self, value: torch.Tensor, shape: Sequence[int]) -> None:
        """Add ``value``; the first addition to a zero storage just takes it."""
        if self.state == ZERO:
            if self.leases == 0:
                self.write(value)
                return
        self.tensor(shape).add_(value)
        self.touch()

    def touch(self) -> None:
        """Say that the tensor last returned by :meth:`tensor` was written in place."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        if not current().shares_host:
            self.state = TENSOR
        elif self.state == BOTH:
            self.state = TENSOR

    def zero(self, keep_memory: bool = False) -> None:
        """Make everything zero; costs nothing until somebody looks.  With ``keep_memory`` the
        tensor's memory waits for the next numbers (:meth:`spare`)."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        if keep_memory:
            self._save_memory()
        self._drop()
        self._make = None
        if self.leases:
            self._allocated_host().fill(0.0)
            self.state = HOST
        else:
            self._host = self._alias = None
            self.state = ZERO

    def relayout(self, tensor: torch.Tensor) -> None:
        """Keep the newest numbers in ``tensor``, which holds the same ones in other memory or
        another layout, on the calling thread's device."""
        held = self.held
        if held is not None and held.numel() == tensor.numel():
            self._keep(tensor)

    def adopt(self, tensor: torch.Tensor | None) -> None:
        """Say that a replayed pass wrote ``tensor``, the new contents; None: all zero."""
        if tensor is None:
            self.zero()
            return
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        self._make = self._spare = None
        self._keep(tensor)
        self.state = TENSOR

    def defer(self, make: Callable[[], torch.Tensor], keep_memory: bool = False) -> None:
        """Take what ``make()`` gives as the new contents, once somebody asks for them.  On the CPU
        no array that was handed out may be alive.  With ``keep_memory`` the tensor's memory waits
        for the next numbers (:meth:`spare`)."""
        if _watching.by is not None:
            _watching.by.changes(self)
        self._version = next(_versions)
        if self._sentinels:
            self.alert()
        if keep_memory:
            self._save_memory()
        self._drop()
        if not self.leases:  # else the next array is to be the same memory
            self._host = self._alias = None
        self._make = make
        self.state = DEFERRED

    def spare(self, shape: Sequence[int]) -> torch.Tensor | None:
        """Memory of ``shape`` that held earlier numbers and that nobody uses, where there is any:
        to be filled and given to :meth:`write` or :meth:`add`."""
        found, self._spare = self._spare, None
        if found is None or found.numel() != math.prod(shape) or not current().shares_host:
            return None
        strides = list(itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1))[::-1]
        return found.as_strided(tuple(shape), strides if shape else ())

    def _save_memory(self) -> None:
        """Keep the tensor's memory as the spare one if it is large and this storage's alone."""
        t = self._tensor
        if t is not None and self.state == TENSOR and t.is_cpu and t.numel() >= _LARGE:
            alone = self._host is None and not self.leases and not self._is_lent()
            dense = t.is_contiguous() or t.is_contiguous(memory_format=torch.channels_last)
            self._spare = t if alone and dense else None

    @property
    def deferred(self) -> bool:
        """True while nobody has asked for what :meth:`defer` promised."""
        return self._make is not None

    def lend(self) -> bool:
        """Promise that the tensor, the newest copy, keeps its numbers while anyone has it: whoever
        would write into it (:meth:`holds`, :meth:`to_overwrite`) uses other memory from now on.
        False where that cannot be promised."""
        self._lent = self.lends
        return self._lent

    def lend_to(self, borrower: object) -> None:
        """:meth:`lend`, where it :attr:`lends`, for as long as ``borrower`` lives."""
        self._borrowers = [ref for ref in self._borrowers if ref() is not None]
        self._borrowers.append(weakref.ref(borrower))

    @property
    def lends(self) -> bool:
        """Whether :meth:`lend` would be True."""
        return self.state == TENSOR and self._host is None and not self.leases

    def _is_lent(self) -> bool:
        return self._lent or any(ref() is not None for ref in self._borrowers)

    def to_overwrite(self, tensor: torch.Tensor) -> torch.Tensor:
        """``tensor``, which :meth:`tensor` gave, or a copy where it is lent."""
        return tensor.clone() if self._is_lent() else tensor

    @property
    def promised(self) -> Callable[[], torch.Tensor] | None:
        """What :meth:`defer` was given, until somebody asks for the numbers."""
        return self._make

    @property
    def held(self) -> torch.Tensor | None:
        """The tensor where it is the newest copy, else None."""
        return self._tensor if self.state in (TENSOR, BOTH) else None

    def snapshot(self) -> tuple[Any, ...]:
        """What :meth:`rewind` needs to undo changes that never happened on the device."""
        return self.state, self._host, self._alias, self._tensor, self._make

    def rewind(self, snapshot: tuple[Any, ...]) -> None:
        """Go back to a :meth:`snapshot`; the version stays, so that nothing stale is taken."""
        if self._sentinels:
            self.alert()
        self.state, self._host, self._alias, tensor, self._make = snapshot
        self._keep(tensor)

    @property
    def on_host(self) -> bool:
        """True while the newest numbers lie where an array shows them: a user has looked at them
        since layers wrote them, or has written them."""
        return self.state in (HOST, BOTH) or self.leases > 0

    @property
    def is_zero(self) -> bool:
        """True while nothing was ever written since creation or :meth:`zero`."""
        return self.state == ZERO

    def holds(self, tensor: torch.Tensor | None) -> bool:
        """True while ``tensor`` is the newest copy and no array that was handed out is alive: then
        it may be written in place, followed by :meth:`touch`."""
        if tensor is None or self.leases or self._is_lent() or self.state not in (TENSOR, BOTH):
            return False
        return tensor is self._tensor or tensor is self._views.get(tuple(tensor.shape))

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
            self._version = next(_versions)
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
        if _watching.by is not None:
            found = self._cache.get(key) if version is not None else None
            valid = found is not None and found[0] == version
            return _watching.by.derives(self, key, make, found if valid else None)
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

    def renew(self, key: str, value: Any) -> None:
        """Remember ``value`` as what :meth:`cached` gives for the contents as they are now."""
        version = self.version()
        if version is not None:
            self._cache[key] = (version, value)

    # Inside ---------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Compute what was deferred."""
        if self._make is not None:
            if self._sentinels:
                self.alert()
            with torch.no_grad():
                value = self._make()
            self._make = self._spare = None
            self._keep(value)
            self.state = TENSOR

    def _is_own_host(self, value: torch.Tensor) -> bool:
        """True where ``value`` lives in the host copy, from its first number on."""
        return (
            self._host is not None
            and value.is_cpu
            and value.is_contiguous()
            and value.data_ptr() == self.address()
        )

    def _allocated_host(self) -> np.ndarray:
        if self._host is None:
            self._host = np.zeros(self.capacity, np.float32)
        return self._host

    def _newest_host(self) -> np.ndarray:
        if self.state == TENSOR:
            t = self._held_tensor()
            flat = t.detach()
            if (
                self._host is None
                and current().shares_host
                and t.device.type == "cpu"
                and t.dtype is torch.float32
                and t.numel() == self.capacity
                and t.is_contiguous()
                and not self._is_lent()
            ):
                self._alias = flat.view(-1)
                self._host = self._alias.numpy()  # no copy: the tensor becomes the host
            else:
                host = self._allocated_host()
                target = torch.from_numpy(host)[: t.numel()].view(t.shape)
                copy_planes(target, flat)
            self.state = BOTH
        elif self.state == ZERO:
            self._allocated_host()
            self.state = HOST
        return self._allocated_host()
