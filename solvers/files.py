"""Files that are either whole or absent, whenever the process dies."""

import os
from contextlib import contextmanager


@contextmanager
def replacing(path):
    """Yield a temporary path to write; on success flush it to disk and rename it to `path`."""
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush(os.path.dirname(os.path.abspath(path)))
    finally:
        if os.path.exists(temporary):
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
