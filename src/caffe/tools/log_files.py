"""glog's own flags, which old training scripts give to ``caffe``, and its log file."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace

from caffe import glog
from caffe.errors import Error
from caffe.tools.flags import Flag

__all__ = ["FLAGS", "as_asked"]

FLAGS = {
    "alsologtostderr": Flag(True, "the log goes to stderr, as it always does"),
    "log_dir": Flag("", "also write the log to a file in this folder"),
    "logtostderr": Flag(True, "the log goes to stderr, as it always does"),
    "minloglevel": Flag(-1, "the least severity logged: 0 INFO, 1 WARNING, 2 ERROR"),
    "version": Flag(False, "print the version of Caffe whose interface this is"),
}


@contextlib.contextmanager
def as_asked(flags: SimpleNamespace) -> Iterator[None]:
    """Log as the flags say while the body runs.

    Raises:
        Error: no file can be written in ``-log_dir``.
    """
    if flags.minloglevel >= 0:
        glog.set_level(flags.minloglevel)
    if not flags.log_dir:
        yield
        return
    now = datetime.now()
    host = socket.gethostname()
    name = f"caffe.{host}.{_user()}.log.INFO.{now:%Y%m%d-%H%M%S}.{os.getpid()}"
    path = os.path.join(flags.log_dir, name)
    try:
        stream = open(path, "w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise Error(
            f"-log_dir {flags.log_dir}: cannot write a log file there: {error.strerror}"
        ) from error
    with stream:
        stream.write(
            f"Log file created at: {now:%Y/%m/%d %H:%M:%S}\nRunning on machine: {host}\n"
            "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg\n"
        )
        _point_to(path, os.path.join(flags.log_dir, "caffe.INFO"))
        with glog.copied_to(stream):
            yield


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return "invalid-user"


def _point_to(path: str, link: str) -> None:
    """Let ``caffe.INFO`` name the latest log, where links are possible."""
    with contextlib.suppress(OSError):
        if os.path.islink(link):
            os.remove(link)
        os.symlink(os.path.basename(path), link)
