"""Batches prepared by several processes; their order does not depend on which is faster.

Batch k is prepared by process k mod n, and each process answers in the order it was asked. Arrays
come back through memory that both map, so that nothing of their size is copied or pickled.

The processes are started as new programs, not forked: the parent may hold threads and a GPU, which
a fork would break. They import numpy, Pillow and `segdata`, and neither `caffe` nor the parent's
main program. They end when the parent does, however it ends.
"""

import collections
import mmap
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from segdata.errors import DataError

__all__ = ["ProcessPrefetcher", "Slot"]

#: What a process runs: the parent's path first, so that the same modules are found.
_PROGRAM = (
    "import pickle, sys; tasks = open(int(sys.argv[1]), 'rb'); sys.path[:] = pickle.load(tasks); "
    "from segdata.worker import work; work(tasks, *map(int, sys.argv[2:]))"
)

#: Arrays begin at multiples of this in shared memory, as mappings must.
_PAGE = mmap.ALLOCATIONGRANULARITY


class Slot:
    """Shared memory for the arrays of one batch; either side makes one of the same descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._maps: dict[tuple[int, int], mmap.mmap] = {}

    def arrays(self, layout: list[tuple[tuple[int, ...], str]]) -> list[np.ndarray]:
        """Arrays of these shapes and types, one behind the other; what they hold is what the other
        side wrote there."""
        places, end = [], 0
        for shape, dtype in layout:
            size = max(1, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
            places.append((end, size))
            end += -(-size // _PAGE) * _PAGE
        if set(places) != set(self._maps):
            if os.fstat(self._descriptor).st_size < end:
                os.ftruncate(self._descriptor, end)
            # A mapping that some array still shows goes when that array does.
            self._maps = {at: mmap.mmap(self._descriptor, at[1], offset=at[0]) for at in places}
        return [
            np.frombuffer(self._maps[at], dtype, int(np.prod(shape, dtype=np.int64))).reshape(shape)
            for at, (shape, dtype) in zip(places, layout)
        ]


class _Process:
    """One process: tasks go in, (slot, layout) or an exception come out."""

    def __init__(self, load: Any, slots: list[int]) -> None:
        task_out, task_in = os.pipe()
        reply_out, reply_in = os.pipe()
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        descriptors = [task_out, reply_in, *slots]
        # A new program has its parent's mask: no signal is early enough to end it before it ignores
        # them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                env=environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(task_out)
            os.close(reply_in)
        self._tasks, self._replies = open(task_in, "wb"), open(reply_out, "rb")
        self._send(sys.path)
        self._send(load)

    def _send(self, what: Any) -> None:
        try:
            pickle.dump(what, self._tasks)
            self._tasks.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def ask(self, slot: int, task: Any) -> None:
        self._send((slot, task))

    def answer(self) -> Any:
        try:
            return pickle.load(self._replies)
        except (EOFError, pickle.UnpicklingError, struct.error):
            raise self._ended() from None

    def _ended(self) -> DataError:
        return DataError(
            f"a process that prepares batches ended with status {self._process.wait()}; what it "
            "wrote to the error output says why (-9: the system lacked memory, or somebody killed "
            "it). Set fewer 'workers', or 1 for a thread"
        )

    def close(self) -> None:
        """End the process: it reads the end of its tasks."""
        for pipe in (self._tasks, self._replies):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self._process.wait()


class ProcessPrefetcher:
    """`Prefetcher` (see segdata.prefetch) with processes: ``load`` must be picklable.

    What ``current()`` returns lies in shared memory, and is overwritten after ``advance()``.
    """

    def __init__(self, load: Any, tasks: Iterator[Any], workers: int) -> None:
        self._load, self._tasks, self._workers = load, tasks, workers
        #: The processes that owe an answer, in order.
        self._asked: collections.deque[tuple[_Process, int]] = collections.deque()
        self._free = collections.deque(range(2 * workers + 1))
        self._processes: list[_Process] = []
        self._next = 0
        self._now: Any = None

    def _start(self) -> None:
        descriptors = [_shared() for _ in self._free]
        self._slots = [Slot(descriptor) for descriptor in descriptors]
        self.close: Any = weakref.finalize(  # type: ignore[method-assign]
            self, _close, self._processes, descriptors
        )
        for _ in range(self._workers):
            self._processes.append(_Process(self._load, descriptors))

    def current(self) -> Any:
        """The arrays of the current batch; waits until they are ready, and has those after it
        begun."""
        if not self._processes:
            self._start()
        while self._free:
            process = self._processes[self._next % self._workers]
            slot = self._free.popleft()
            process.ask(slot, next(self._tasks))
            self._asked.append((process, slot))
            self._next += 1
        if self._now is None:
            process, slot = self._asked[0]
            answer = process.answer()
            self._now = (
                answer if isinstance(answer, Exception) else self._slots[slot].arrays(answer)
            )
        if isinstance(self._now, Exception):
            raise self._now
        return self._now

    def advance(self) -> None:
        """Go on to the next task, once the current one has succeeded."""
        self.current()
        _, slot = self._asked.popleft()
        self._free.append(slot)
        self._now = None

    def close(self) -> None:
        """End the processes, if they were started."""


def _shared() -> int:
    """A descriptor of memory without a name, which goes with the last that has it open."""
    if hasattr(os, "memfd_create"):  # not bound by the size of /dev/shm
        return os.memfd_create("segdata")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _close(processes: list[_Process], descriptors: list[int]) -> None:
    for process in processes:
        process.close()
    for descriptor in descriptors:
        os.close(descriptor)
