"""HDF5 files, read without leaving them and written without the library touching the disk.

A dataset can name other files: by external storage, an external link, or as a virtual dataset.  Who
opens a file that somebody else made would so read any file of his own into a net.  Such datasets
are refused.  And the library, which is C code, ends the process where the disk is full, so it
writes to memory, or to a file whose space is reserved, through an object that keeps the error.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from typing import Any

from caffe.atomic import atomic_write

__all__ = ["append_to", "check_regular", "create", "find"]

_LINKS = 16  # soft links that lead from one to the next
_MARGIN = 1 << 18  # bytes for what the library writes beside the numbers


def check_regular(path: str) -> None:
    """Raise OSError for what is no file, such as a pipe, which would be waited for."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"'{path}' is no regular file")


def find(group: Any, name: str, links: int = _LINKS) -> Any:
    """The object ``name`` in a group of an HDF5 file, None where there is none.

    Raises:
        OSError: it lies in another file, in whole or in part.
    """
    import h5py

    here = group.file if name.startswith("/") else group
    for part in [part for part in name.split("/") if part not in ("", ".")]:
        link = here.get(part, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink):
            if not links:
                raise OSError(f"'{name}': more than {_LINKS} soft links")
            here = find(here, link.path, links - 1)
        elif isinstance(link, h5py.HardLink):
            here = here[part]
        else:
            raise OSError(f"'{name}' is a link to another file, which is not followed")
    if isinstance(here, h5py.Dataset):
        if here.external:
            raise OSError(f"the numbers of '{name}' lie in another file, which is not read")
        if here.is_virtual:
            raise OSError(f"'{name}' is a virtual dataset, made of other files, which is not read")
    return here


@contextlib.contextmanager
def create(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A new ``h5py.File``, in memory; it appears under its name, whole, when the block ends.

    Raises:
        WeightsError: the file cannot be written.
    """
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        yield file
    with atomic_write(path) as stream:
        stream.write(memory.getbuffer())


@contextlib.contextmanager
def append_to(path: str, size: int) -> Iterator[Any]:
    """An ``h5py.File`` to which about ``size`` bytes will be added.

    Raises:
        OSError: there is no room for them; the file is then as it was.
    """
    import h5py

    with open(path, "r+b", buffering=0) as raw:
        before = os.fstat(raw.fileno()).st_size
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(raw.fileno(), before, size + _MARGIN)
        except OSError:
            os.ftruncate(raw.fileno(), before)
            raise
        disk = _Disk(raw)
        with h5py.File(disk, "r+") as file:
            yield file
        if disk.error is not None:
            raise disk.error


class _Disk:
    """A file object that never raises while it writes: the library does not survive that."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.error: OSError | None = None
        self.seek, self.tell, self.readinto = raw.seek, raw.tell, raw.readinto

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(size)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += self._raw.write(view[done:])
        except OSError as error:
            self.error = self.error or error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._raw.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        """Nothing is held back."""
