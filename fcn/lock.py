"""A lock by which runs keep out of each other's way, on whatever they both would write."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Busy", "locked"]


class Busy(RuntimeError):
    """Another run holds the lock; the message says which file and what to do."""


@contextmanager
def locked(path: str, busy: str) -> Iterator[None]:
    """Hold the lock file `path` while the context lasts; Busy, with the text `busy`, if it is held.

    The lock is the system's (flock), so it ends with the process, however that ends. The file is
    removed by its holder; whoever waits behind a removed file opens a new one.
    """
    handle = _acquire(path, busy)
    try:
        yield
    finally:
        # Removed while it is still held: nobody else can have taken this very file meanwhile.
        if os.path.lexists(path) and _is_at(handle, path):
            os.remove(path)
        os.close(handle)


def _acquire(path: str, busy: str) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                # Some network file systems know no locks.
                print(f"note: '{path}' cannot be locked ({error.strerror})", file=sys.stderr)
                return handle
            os.close(handle)
            raise Busy(f"{busy} (it holds '{path}')") from None
        if _is_at(handle, path):
            return handle
        os.close(handle)  # its last holder removed it between our opening and locking it


def _is_at(handle: int, path: str) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(handle)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
