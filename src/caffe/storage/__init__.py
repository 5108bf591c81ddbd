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

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from caffe._planes import copy_planes
from caffe.device import current
from caffe.storage.copies import Copies
from caffe.storage.versions import BOTH, DEFERRED, HOST, TENSOR, ZERO, version_numbers
from caffe.storage.watcher import Watcher, watched, watching

__all__ = ["Storage", "Watcher", "watched"]


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


class Storage(Copies):
    """``capacity`` float32 numbers, zero at first.  A blob may use fewer than the capacity."""

    @classmethod
    def around(cls, memory: np.ndarray) -> Storage:
        """A storage whose host copy is ``memory`` itself: flat, writable, float32."""
        storage = cls(memory.size)
        storage._host = memory
        storage.state = HOST
        return storage

    def use_host(self, memory: np.ndarray) -> None:
        """Take ``memory``, flat, writable float32 of the capacity, as the host copy itself."""
        if watching.by is not None:
            watching.by.changes(self)
        self._version = next(version_numbers)
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
        if watching.by is not None:
            watching.by.changes(self)
        self._settle()
        host = self._newest_host()
        self.state = HOST
        self._version = next(version_numbers)
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

    # For layers: tensors ------------------------------------------------------------------------

    def tensor(self, shape: Sequence[int]) -> torch.Tensor:
        """The newest numbers as a tensor of ``shape`` on the calling thread's device.

        Writing into it is allowed and must be followed by :meth:`touch`.
        """
        by = watching.by
        return self.newest(shape) if by is None else by.reads(self, shape)

    def write(self, value: torch.Tensor) -> None:
        """Take ``value`` as the new contents; it may become this storage's own memory."""
        if watching.by is not None:
            watching.by.changes(self)
        self._version = next(version_numbers)
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
        self._version = next(version_numbers)
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
        if watching.by is not None:
            watching.by.changes(self)
        self._version = next(version_numbers)
        if self._sentinels:
            self.alert()
        if not current().shares_host:
            self.state = TENSOR
        elif self.state == BOTH:
            self.state = TENSOR

    def zero(self, keep_memory: bool = False) -> None:
        """Make everything zero; costs nothing until somebody looks.  With ``keep_memory`` the
        tensor's memory waits for the next numbers (:meth:`spare`)."""
        if watching.by is not None:
            watching.by.changes(self)
        self._version = next(version_numbers)
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

    def defer(self, make: Callable[[], torch.Tensor], keep_memory: bool = False) -> None:
        """Take what ``make()`` gives as the new contents, once somebody asks for them.  On the CPU
        no array that was handed out may be alive.  With ``keep_memory`` the tensor's memory waits
        for the next numbers (:meth:`spare`)."""
        if watching.by is not None:
            watching.by.changes(self)
        self._version = next(version_numbers)
        if self._sentinels:
            self.alert()
        if keep_memory:
            self._save_memory()
        self._drop()
        if not self.leases:  # else the next array is to be the same memory
            self._host = self._alias = None
        self._make = make
        self.state = DEFERRED

    # For recorded passes ------------------------------------------------------------------------

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
        self._version = next(version_numbers)
        if self._sentinels:
            self.alert()
        self._make = self._spare = None
        self._keep(tensor)
        self.state = TENSOR

    def snapshot(self) -> tuple[Any, ...]:
        """What :meth:`rewind` needs to undo changes that never happened on the device."""
        return self.state, self._host, self._alias, self._tensor, self._make

    def rewind(self, snapshot: tuple[Any, ...]) -> None:
        """Go back to a :meth:`snapshot`; the version stays, so that nothing stale is taken."""
        if self._sentinels:
            self.alert()
        self.state, self._host, self._alias, tensor, self._make = snapshot
        self._keep(tensor)
