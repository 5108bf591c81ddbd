"""Log lines in glog's format, which log parsers of ten years read.

``I1121 03:25:48.881434 28894 solver.cpp:239] Iteration 20, loss = 1.5``: severity, month and day,
time, thread, source file and line, text.  Lines go to stderr from severity ``GLOG_minloglevel``
on (0 INFO, 1 WARNING, 2 ERROR).  The source is that of this engine, under BVLC's file names.
"""

from __future__ import annotations

import contextlib
import operator
import os
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import TextIO

from caffe.errors import Error
from caffe.rank import is_root

__all__ = [
    "copied_to",
    "error",
    "fatal",
    "info",
    "init_log",
    "is_on",
    "log",
    "set_level",
    "warning",
]

INFO, WARNING, ERROR, FATAL = 0, 1, 2, 3


class _State:
    def __init__(self) -> None:
        try:
            self.level = int(os.environ.get("GLOG_minloglevel", "0"))
        except ValueError:
            self.level = INFO
        self.initialised = False
        self.copies: list[TextIO] = []
        self.failed: list[TextIO] = []  # copies that could not be written, told once
        self.lock = threading.Lock()


_state = _State()


def init_log(level: int | None = None, stderr: bool = True) -> None:
    """Set the least severity that is logged.  A second call raises, as glog aborts on it.

    BVLC sends INFO to files in /tmp after a call without ``stderr=True``; here it stays on stderr.
    """
    least = None if level is None else operator.index(level)
    if _state.initialised:
        raise Error("caffe.init_log was called twice: glog can be initialised only once")
    _state.initialised = True
    if least is not None:
        _state.level = least


def log(text: str) -> None:
    """One INFO line from user code (``caffe.log``)."""
    if not isinstance(text, str):
        raise TypeError(f"caffe.log takes a string, got {type(text).__name__}")
    _write(INFO, "pycaffe", text)


def info(source: str, text: str) -> None:
    """One INFO line; ``source`` is BVLC's file name, ``.cpp`` left out, which parsers expect.

    Of several solvers that train together only rank 0 writes these.
    """
    if is_root():
        _write(INFO, source, text)


def warning(source: str, text: str) -> None:
    """One WARNING line; see :func:`info`."""
    _write(WARNING, source, text)


def error(source: str, text: str) -> None:
    """One ERROR line; see :func:`info`."""
    _write(ERROR, source, text)


def fatal(source: str, text: str) -> None:
    """The last line of a program that failed, whatever the severity asked for; see :func:`info`."""
    _write(FATAL, source, text)


def is_on(severity: int = INFO) -> bool:
    """True where lines of this severity are written, to save the work of making them."""
    return severity >= _state.level and (severity > INFO or is_root())


def set_level(level: int) -> None:
    """Log from this severity on."""
    _state.level = level


@contextlib.contextmanager
def copied_to(stream: TextIO) -> Iterator[None]:
    """Write every line to ``stream`` too while the body runs."""
    _state.copies.append(stream)
    try:
        yield
    finally:
        _state.copies.remove(stream)


def _write(severity: int, source: str, text: str) -> None:
    if severity < min(_state.level, FATAL):
        return
    line = sys._getframe(2).f_lineno
    now = datetime.now()
    stamp = f"{'IWEF'[severity]}{now:%m%d %H:%M:%S.%f} {threading.get_native_id():5d}"
    file = source if "." in source else f"{source}.cpp"
    end = "" if text.endswith("\n") else "\n"
    with _state.lock:
        for stream in (sys.stderr, *_state.copies):
            _put(stream, f"{stamp} {file}:{line}] {text}{end}")


def _put(stream: TextIO | None, line: str) -> None:
    """Write a line where that is possible: a log that cannot be written ends no training."""
    if stream is None:  # stderr was closed when the program began
        return
    try:
        stream.write(line)
        stream.flush()
    except ValueError:  # closed meanwhile
        pass
    except OSError as error:
        if isinstance(error, BrokenPipeError) and stream is sys.stderr:
            _forget_reader(stream)
        elif stream is not sys.stderr and stream not in _state.failed:
            _state.failed.append(stream)
            name = getattr(stream, "name", "a copy of the log")
            _put(sys.stderr, f"{name} cannot be written: {error.strerror or error}\n")


def _forget_reader(stream: TextIO) -> None:
    """Nobody reads stderr any more (``| head``): the rest of it goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
