"""Log lines in glog's format, which log parsers of ten years read.

``I1121 03:25:48.881434 28894 solver.cpp:239] Iteration 20, loss = 1.5``: severity, month and day,
time, thread, source file and line, text.  Lines go to stderr from severity ``GLOG_minloglevel``
on (0 INFO, 1 WARNING, 2 ERROR).  The source is that of this engine, under BVLC's file names.
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import datetime

from caffe.errors import Error

__all__ = ["error", "fatal", "info", "init_log", "is_on", "log", "warning"]

INFO, WARNING, ERROR, FATAL = 0, 1, 2, 3


class _State:
    def __init__(self) -> None:
        try:
            self.level = int(os.environ.get("GLOG_minloglevel", "0"))
        except ValueError:
            self.level = INFO
        self.initialised = False
        self.lock = threading.Lock()


_state = _State()


def init_log(level: int | None = None, stderr: bool = True) -> None:
    """Set the least severity that is logged.  A second call raises, as glog aborts on it.

    BVLC sends INFO to files in /tmp after a call without ``stderr=True``; here it stays on stderr.
    """
    if _state.initialised:
        raise Error("caffe.init_log was called twice: glog can be initialised only once")
    _state.initialised = True
    if level is not None:
        _state.level = level


def log(text: str) -> None:
    """One INFO line from user code (``caffe.log``)."""
    _write(INFO, "pycaffe", text)


def info(source: str, text: str) -> None:
    """One INFO line; ``source`` is BVLC's file name without extension, which parsers expect."""
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
    return severity >= _state.level


def _write(severity: int, source: str, text: str) -> None:
    if severity < min(_state.level, FATAL):
        return
    line = sys._getframe(2).f_lineno
    now = datetime.now()
    stamp = f"{'IWEF'[severity]}{now:%m%d %H:%M:%S.%f} {threading.get_native_id():5d}"
    with _state.lock:
        sys.stderr.write(f"{stamp} {source}.cpp:{line}] {text}\n")
