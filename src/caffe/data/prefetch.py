"""Batches made ahead by a thread.

What comes out does not depend on timing: the source is used by one thread at a time, in order.
A failure travels to whoever asks for the batch; then the thread has ended with the source put back
to the beginning of that batch, so that asking again tries again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import weakref
from typing import Any, Protocol

from caffe.errors import DataError

__all__ = ["Prefetcher", "Source"]

_PATIENCE = 0.5  # seconds between looks at whether the other side is still there
_LAST_WAIT = 5.0  # seconds for a thread that is to end: it may be stuck in a source that hangs


class Source(Protocol):
    """What makes batches, one after the other."""

    def batch(self) -> Any:
        """The next batch."""

    def place(self) -> Any:
        """Where the next batch begins, random streams included."""

    def go_to(self, place: Any) -> None:
        """Continue at a place from :meth:`place`."""


class Prefetcher:
    """Keeps up to ``depth`` batches of ``source`` ready.  The thread starts with the first request;
    it ends when this object is collected, and before the interpreter shuts down.
    """

    def __init__(self, source: Source, depth: int, name: str) -> None:
        self._source, self._depth, self._name = source, depth, name
        self._run: _Run | None = None
        self._stop: weakref.finalize | None = None

    def next(self) -> Any:
        """The next batch.

        Raises:
            Exception: what the source raised while it made this batch.
            DataError: the process was forked after the first batch; its thread stayed behind.
        """
        if self._run is None:
            run = _Run(self._source, self._depth, self._name)
            # The thread refers to the run, never to this object, which can so be collected.
            self._stop = weakref.finalize(self, run.stop)
            self._run = run
        batch, failure = self._run.get()
        if failure is not None:
            self.close()
            raise failure
        return batch

    def close(self) -> None:
        """End the thread; batches that were ready are lost."""
        if self._stop is not None:
            self._stop()
        self._run = self._stop = None


class _Run:
    """One life of the thread."""

    def __init__(self, source: Source, depth: int, name: str) -> None:
        self._source, self._name = source, name
        self._process = os.getpid()
        self._ready: queue.Queue = queue.Queue(depth)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"prefetch {name}", daemon=True)
        self._thread.start()

    def get(self) -> tuple[Any, BaseException | None]:
        # A fork copies neither the thread nor a sane state of the queue, whose lock it may hold.
        if os.getpid() != self._process:
            raise DataError(
                f"{self._name}: this process was forked after the data layer had begun to read "
                "ahead, and its thread stayed in the other process. Build the net in the process "
                "that uses it, or start processes with the method 'spawn'."
            )
        while True:
            try:
                return self._ready.get(timeout=_PATIENCE)
            except queue.Empty:
                if not self._thread.is_alive() and self._ready.empty():
                    raise DataError(
                        f"{self._name}: the prefetching thread has ended without a batch. Build "
                        "the net anew."
                    ) from None

    def stop(self) -> None:
        if os.getpid() != self._process:
            return
        self._stopping.set()
        with contextlib.suppress(queue.Empty):
            while True:  # room for a thread that waits with a batch, so that it ends at once
                self._ready.get_nowait()
        if self._thread is not threading.current_thread():
            self._thread.join(_LAST_WAIT)  # a daemon: the program can end without it

    def _work(self) -> None:
        while not self._stopping.is_set():
            place = self._source.place()
            try:
                result: tuple[Any, BaseException | None] = (self._source.batch(), None)
            except BaseException as error:
                result = (None, self._back_to(place, error))
            if not self._put(result) or result[1] is not None:
                return

    def _back_to(self, place: Any, error: BaseException) -> BaseException:
        """Puts the source back; what to tell of the batch that failed."""
        try:
            self._source.go_to(place)
        except Exception as second:
            both = DataError(f"{error} (nor can the source go back to the batch before: {second})")
            both.__cause__ = error
            return both
        return error

    def _put(self, result: tuple) -> bool:
        while not self._stopping.is_set():
            try:
                self._ready.put(result, timeout=_PATIENCE)
                return True
            except queue.Full:
                pass
        return False
