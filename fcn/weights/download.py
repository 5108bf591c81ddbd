"""Fetching one large file: resumed where an earlier try ended, and never taken for whole too soon.

What has come lies in a part file beside the target, and goes on growing there (HTTP Range) until
all bytes have come; the caller checks it and renames it. Only the standard library is used.
"""

from __future__ import annotations

import errno
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPResponse
from typing import IO, TextIO

from fcn.lock import Busy, locked

__all__ = ["Busy", "DiskFull", "FetchError", "Progress", "fetch", "locked"]

BLOCK = 1 << 18
TIMEOUT = 30  # seconds without an answer or a byte
#: A transfer of fewer bytes in so many seconds is given up.
LEAST, PATIENCE = 60_000, 60
AGENT = "fcn-weights/1.0"


class FetchError(RuntimeError):
    """One address did not give the file; `again` says that going on there may succeed."""

    def __init__(self, message: str, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class DiskFull(RuntimeError):
    """No address can help."""


def fetch(
    url: str,
    part: str,
    progress: Progress,
    tries: int = 3,
    pause: float = 1.0,
    size: int | None = None,
    most: int | None = None,
) -> int:
    """Append to the file `part` until it holds all that `url` has; returns its size.

    size: of the file, where it is known; most: what it has at most, where it is not. A transfer
    that breaks off is gone on with, up to `tries` times in a row with hardly a new byte. Raises
    FetchError, or DiskFull; what has come stays in `part` for the next run.
    """
    if not _is_web(url):
        raise FetchError("expected an address that begins with http:// or https://")
    failed = 0
    while True:
        before = _size(part)
        try:
            return _transfer(url, part, progress, size, size or most)
        except FetchError as error:
            failed = 0 if _size(part) >= before + BLOCK else failed + 1
            if not error.again or failed >= tries:
                raise
            progress.note(f"{error}; going on")
            time.sleep(pause)


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _transfer(url: str, part: str, progress: Progress, size: int | None, most: int | None) -> int:
    """One request: from where `part` ends, or all of it where the server knows no ranges."""
    have = _size(part)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": AGENT})
        if have:
            request.add_header("Range", f"bytes={have}-")
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return _nothing_left(error, part, have)
        raise FetchError(f"HTTP {error.code} {error.reason}", again=error.code >= 500) from None
    # URLError, timeouts, refused connections; answers that are no HTTP, addresses that are none.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(str(reason) or type(error).__name__) from None
    with answer:
        if not _is_web(answer.geturl()):
            raise FetchError(f"the server sent on to {answer.geturl():.100}")
        if answer.headers.get_content_type() == "text/html":
            raise FetchError("a web page came instead of a file")
        start, total = _range(answer, have)
        if size is not None and total not in (None, size):
            raise FetchError(f"the file there has {total} bytes, expected {size}")
        if most is not None and total is not None and total > most:
            raise FetchError(f"the file there has {total} bytes, expected {most} at most")
        _check_room(part, total, start)
        return _receive(answer, part, start, total, most, progress)


def _nothing_left(error: urllib.error.HTTPError, part: str, have: int) -> int:
    """The server has no bytes behind `have`: either all have come, or the part is not this file."""
    total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
    if total == str(have):
        return have
    os.remove(part)
    raise FetchError(
        f"the part here has {have} bytes, the file {total or 'fewer'}; the part was removed",
        again=True,
    )


def _range(answer: HTTPResponse, have: int) -> tuple[int, int | None]:
    """(first byte, size of the whole file or None) of what an answer will bring."""
    told = answer.headers.get("Content-Length", "")
    length = int(told) if _is_number(told) else None
    if answer.status != 206:
        return 0, length
    told = answer.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", told, re.ASCII)
    if not found or int(found.group(1)) != have:
        raise FetchError(
            "the server sent another range than was asked for: "
            f"{answer.headers.get('Content-Range')}, asked for from {have}"
        )
    return have, None if found.group(3) == "*" else int(found.group(3))


def _is_number(text: str) -> bool:
    """Whether a header is a number of bytes that any disk could hold."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _check_room(part: str, total: int | None, start: int) -> None:
    if total is None:
        return
    # A server that knows no ranges starts anew over the part, whose bytes count as room then.
    need = total - (start or _size(part))
    free = shutil.disk_usage(os.path.dirname(os.path.abspath(part))).free
    if need > free:
        raise DiskFull(
            f"{need} more bytes are needed in '{os.path.dirname(part)}', where {free} are free"
        )


def _receive(
    answer: HTTPResponse,
    part: str,
    start: int,
    total: int | None,
    most: int | None,
    progress: Progress,
) -> int:
    have, mark, since = start, start, time.monotonic()
    progress.begin(start, total)
    # Unbuffered, so that closing the file has nothing left to write to a full disk.
    with open(part, "r+b" if os.path.exists(part) else "wb", buffering=0) as file:
        file.truncate(start)
        file.seek(start)
        while True:
            try:
                # What is there: `read` would wait for a whole block, however slowly it comes.
                block = answer.read1(BLOCK)
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise FetchError(f"broke off at {have} bytes: {error}", again=True) from None
            if not block:
                break
            try:
                _write(file, block)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise DiskFull(
                    f"the disk is full at {have} bytes of {total or 'unknown'}; free "
                    "some and run this again: it continues from there"
                ) from None
            have += len(block)
            progress.at(have)
            if most is not None and have > most:
                file.truncate(0)
                raise FetchError(f"more than the {most} bytes came that were expected")
            now = time.monotonic()
            if now - since >= PATIENCE:
                if have - mark < LEAST:
                    rate = (have - mark) / (now - since)
                    raise FetchError(f"too slow: {rate:.0f} bytes a second, at byte {have}")
                mark, since = have, now
    progress.end()
    if total is not None and have < total:
        raise FetchError(f"broke off at {have} of {total} bytes", again=True)
    if total is not None and have > total:
        os.remove(part)
        raise FetchError(f"{have} bytes came, {total} were announced")
    return have


def _write(file: IO[bytes], block: bytes) -> None:
    """Write all of a block; an unbuffered file may take it in pieces."""
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


class Progress:
    """Bytes, percent, rate: one line that is rewritten on a terminal, else one every 10 %."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()

    def begin(self, start: int, total: int | None) -> None:
        self._start, self._total, self._since = start, total, time.monotonic()
        self._next = 0.0
        if start:
            self.note(f"going on behind {_bytes(start)}")

    def at(self, have: int) -> None:
        now = time.monotonic()
        share = have / self._total if self._total else 0.0
        due = now >= self._next if self._terminal else share >= self._next
        if not due:
            return
        self._next = now + 0.2 if self._terminal else int(share * 10 + 1) / 10
        rate = (have - self._start) / max(now - self._since, 1e-3)
        whole = f" of {_bytes(self._total)}, {share:.0%}" if self._total else ""
        line = f"  {_bytes(have)}{whole}, {_bytes(rate)}/s"
        self._stream.write(f"\r{line:<60}" if self._terminal else line + "\n")
        self._stream.flush()

    def end(self) -> None:
        if self._terminal:
            self._stream.write("\n")

    def note(self, text: str) -> None:
        self._stream.write(f"  {text}\n")
        self._stream.flush()


def _bytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{int(count)} bytes"
