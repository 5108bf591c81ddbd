"""Which of two numbers of threads the passes of a small net are faster with.

It depends on more than the net: a thread that sleeps takes tens of microseconds to wake, one that
other programs keep waiting takes milliseconds, and one that still looks for work none.  So passes
are timed, some with either number in turn, and repeated the more rarely the longer the answer has
been the same.
"""

from __future__ import annotations

__all__ = ["FasterThreads"]

_SETTLING, _TIMED = 2, 16  # passes with a number: the first fill caches and wake threads
_LEAST_REST, _MOST_REST = 100, 3200  # passes between two comparisons


class FasterThreads:
    """Begins with the smaller number.

    Attributes:
        numbers: of threads, the smaller one first.
        threads: those that the next pass is to use; then :meth:`took` is to be told its seconds.
    """

    def __init__(self, few: int, many: int) -> None:
        self.numbers = few, many
        self.threads = self._faster = few
        self._rest = _LEAST_REST
        self._seconds: dict[int, float] = {}  # of the passes of a comparison, by their number
        self._total, self._passes, self._timed = 0.0, 0, True

    def took(self, seconds: float) -> None:
        self._passes += 1
        if not self._timed:
            if self._passes == self._rest:
                self._begin(self._faster)
            return
        if self._passes > _SETTLING:
            self._total += seconds
        if self._passes == _SETTLING + _TIMED:
            self._seconds[self.threads] = self._total
            if len(self._seconds) == 1:
                self._begin(sum(self.numbers) - self.threads)
            else:
                self._compare()

    def _begin(self, threads: int) -> None:
        self.threads = threads
        self._total, self._passes, self._timed = 0.0, 0, True

    def _compare(self) -> None:
        faster = min(self.numbers, key=self._seconds.__getitem__)
        self._rest = min(2 * self._rest, _MOST_REST) if faster == self._faster else _LEAST_REST
        self.threads = self._faster = faster
        self._seconds = {}
        self._passes, self._timed = 0, False
