"""How every command ends when its reader goes away or the user stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

__all__ = ["exit_code", "unread"]


def exit_code(command: Callable[..., int], *arguments: Any) -> int:
    """What `command` returns; 130 after Ctrl-C, 141 where nobody reads the output any more.

    Both are the shell's customs: 128 and the signal's number.
    """
    try:
        code = command(*arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # What is still buffered would be told about once more when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


@contextlib.contextmanager
def unread() -> Iterator[None]:
    """While active, output that cannot be written is dropped, and the program goes on."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Dropping(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Dropping:
    """A stream whose write errors end nothing: from the first on, all is dropped."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None: the program was started with it closed

    def _try(self, name: str, *arguments: Any) -> Any:
        if self._stream is None:
            return None
        try:
            return getattr(self._stream, name)(*arguments)
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                # So that what is still buffered is not tried again when Python ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = None
            return None

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("nothing can be written here any more")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"
