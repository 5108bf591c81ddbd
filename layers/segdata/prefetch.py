"""Batches prepared ahead in background threads; their order does not depend on the threads."""

import collections
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

__all__ = ["Prefetcher"]


class Prefetcher:
    """``current()`` is ``load(task)`` for the current task; ``advance()`` goes to the next.

    ``tasks`` is read in the caller's thread and in order; ``load`` runs in a background thread
    and must depend on its task alone.  What it raises is raised by ``current()``, again and
    again: a failed batch is never skipped.

    The threads end when this object is collected or the program ends, after the few batches
    already begun.
    """

    def __init__(
        self, load: Callable[[Any], Any], tasks: Iterator[Any], ahead: int = 3, workers: int = 1
    ) -> None:
        self._load = load
        self._tasks = tasks
        self._ahead = max(ahead, workers)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="segdata")
        self._futures: collections.deque[Any] = collections.deque()

    def current(self) -> Any:
        """The current result; waits until it is ready and has those after it begun."""
        while len(self._futures) <= self._ahead:
            self._futures.append(self._executor.submit(self._load, next(self._tasks)))
        return self._futures[0].result()

    def advance(self) -> None:
        """Go on to the next task, once the current one has succeeded."""
        self.current()
        self._futures.popleft()

    def close(self) -> None:
        """Drop what waits and end the threads after the batches at hand."""
        for future in self._futures:
            future.cancel()
        self._futures.clear()
        self._executor.shutdown(wait=False)
