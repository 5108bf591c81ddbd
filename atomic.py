"""Files that are either whole or absent, whenever the process dies.

`replacing` is how everything outside the engine writes a file that another run may read.
"""

import os
from contextlib import contextmanager

__all__ = ["flush", "replacing", "write_text"]


@contextmanager
def replacing(path, durable=True):
    """Yield a temporary path to write; on success rename it to `path`, else remove it.

    durable: flush it to disk first, so that it also survives a power cut. Thousands of small files
    that can be made again do without: a flush takes milliseconds.
    """
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        yield temporary
        if durable:
            flush(temporary)
        os.replace(temporary, path)
        if durable:
            flush(os.path.dirname(os.path.abspath(path)))
    finally:
        if os.path.lexists(temporary):
            os.remove(temporary)


def flush(path):
    """Have the disk hold a file, or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path, text):
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
