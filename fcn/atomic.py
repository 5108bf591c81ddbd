"""Files that are either whole or absent, whenever the process dies.

`replacing` is how everything outside the engine writes a file that another run may read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["flush", "replacing", "write_text"]


@contextmanager
def replacing(path: str, durable: bool = True) -> Iterator[str]:
    """Yield a temporary path to write; on success rename it to `path`, else remove it.

    durable: flush it to disk first, so that it also survives a power cut. Thousands of small files
    that can be made again do without: a flush takes milliseconds.

    The temporary file lies beside `path` under a random name, and it is made here: what somebody
    else put there, a link for one, is never written through. An OSError names `path`.
    """
    path = os.fspath(path)
    temporary = None
    try:
        temporary = _new_file(path)
        yield temporary
        if durable:
            flush(temporary)
        os.replace(temporary, path)
        temporary = None
        if durable:
            flush(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        # A full disk is reported without a name, or with the temporary one.
        if error.errno is None or error.filename not in (None, temporary, path):
            raise
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        if temporary is not None and os.path.lexists(temporary):
            os.remove(temporary)


def _new_file(path: str) -> str:
    """The name of an empty file beside `path` that did not exist before."""
    while True:
        temporary = f"{path}.tmp-{secrets.token_hex(8)}"
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        return temporary


def flush(path: str) -> None:
    """Have the disk hold a file, or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str, text: str) -> None:
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
