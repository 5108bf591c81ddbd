"""Reads the tensors of a .pth file that PyTorch wrote before version 1.6; needs no PyTorch.

Such a file is a row of pickles (a magic number, the version, the machine's number formats, the
state dict with references to storages, the storages' names), then each storage's numbers. A pickle
can name functions to call; only the few that a state dict needs are known here.
"""

from __future__ import annotations

import collections
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    pass

__all__ = ["TorchFileError", "read_state_dict"]

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class TorchFileError(ValueError):
    """The file is no state dict of that format; names file and fault."""


class _Storage:
    """The name of a storage, and its numbers once they are read."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.values = np.empty(0, self.dtype)


def _rebuild(
    storage: _Storage,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    requires_grad: bool = False,
    hooks: object | None = None,
) -> Callable[[], np.ndarray]:
    """A tensor, told later what its storage holds."""
    return lambda: _view(storage, offset, size, stride)


def _view(storage: _Storage, offset: int, size: Sequence[int], stride: Sequence[int]) -> np.ndarray:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage.values)):
        raise ValueError(f"a tensor of size {tuple(size)} lies beyond its storage")
    width = storage.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        storage.values[offset:], size, [step * width for step in stride], writeable=False
    )


class _Unpickler(pickle.Unpickler):
    """Knows ordered dicts, tensors and storages, and nothing else."""

    def __init__(self, file: IO[bytes], storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no state dict needs")

    def persistent_load(self, reference: Sequence[Any]) -> _Storage:
        kind, dtype, key = reference[:3]
        if kind != "storage":
            raise pickle.UnpicklingError(f"a reference to {kind!r} instead of a storage")
        return self._storages.setdefault(key, _Storage(dtype))


def read_state_dict(path: str) -> OrderedDict[str, np.ndarray]:
    """{name: array} of a .pth file, in its order; float32 or int64.

    TorchFileError for anything else, OSError if it cannot be read.
    """
    storages: dict[str, _Storage] = {}
    with open(path, "rb") as file:
        try:
            magic, version = (_Unpickler(file, storages).load() for _ in range(2))
            if (magic, version) != (_MAGIC, _VERSION):
                raise ValueError("it does not begin as such a file does")
            machine = _Unpickler(file, storages).load()
            if not machine["little_endian"]:
                raise ValueError("its numbers are big-endian")
            made = _Unpickler(file, storages).load()
            for key in _Unpickler(file, storages).load():
                _fill(storages[key], file)
            return collections.OrderedDict((name, tensor()) for name, tensor in made.items())
        except (
            pickle.UnpicklingError,
            struct.error,
            EOFError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise TorchFileError(
                f"{path} is no state dict of PyTorch 1.5 or older: {error}"
            ) from error


def _fill(storage: _Storage, file: IO[bytes]) -> None:
    (count,) = struct.unpack("<q", file.read(8))
    data = file.read(count * storage.dtype.itemsize) if count >= 0 else b""
    if count < 0 or len(data) != count * storage.dtype.itemsize:
        raise ValueError(f"it is cut short: {len(data)} bytes of a storage of {count} numbers")
    storage.values = np.frombuffer(data, storage.dtype)
