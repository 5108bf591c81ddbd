"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from caffe.errors import WeightsError

__all__ = ["atomic_path", "atomic_write"]


def _is_device(path: str) -> bool:
    """Whether ``path`` is something that must not be replaced by a file, such as /dev/null."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _make_beside(path: str) -> str:
    """A new empty file that nobody else has, and that is no link: in containers all processes may
    have one number, and anybody may write into some folders."""
    while True:
        temporary = f"{path}.tmp-{secrets.token_hex(6)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            os.close(os.open(temporary, flags, 0o666))
        except FileExistsError:
            continue
        return temporary


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """A temporary path beside ``path``; what is written there replaces ``path`` at the end.

    The data are on the disk before the name is: after a power cut there is the old file or the new
    one.  If the body fails the temporary file is removed and ``path`` is as it was.

    Raises:
        WeightsError: the file cannot be written; names it and the system's reason.
    """
    path = os.path.realpath(os.fsdecode(path))
    if os.path.isdir(path):
        raise WeightsError(f"cannot write {path}: it is a directory. Give the name of a file.")
    if _is_device(path):
        yield path
        return
    temporary = ""
    try:
        temporary = _make_beside(path)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise WeightsError(f"cannot write {path}: {error.strerror or error}") from error
        raise
    with contextlib.suppress(OSError):  # not every file system can; the new file is whole
        _sync(os.path.dirname(path))


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """:func:`atomic_path`, opened for writing bytes."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file
