"""How many steps fit into a time limit: measured and corrected while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["TimeLimit"]

#: At these shares of the time val is scored, where that takes less than MOST_SCORING of it in all.
SCORINGS = (0.2, 0.4, 0.6, 0.8)
MOST_SCORING = 0.2

#: At these shares of the time the number of steps is chosen anew. The rate of a "poly" schedule
#: hardly depends on the number before the first.
REPLANS = (0.06, 0.5, 0.85)


class TimeLimit:
    """minutes: from now on, None for no limit. clock: seconds, as time.monotonic gives them."""

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._limit = clock, minutes and 60 * minutes
        self._began, self._left = clock(), list(REPLANS)
        self._mark: tuple[int, float | None] | None = None
        self._scorings = list(SCORINGS)

    def scoring_is_due(self, seconds: float) -> bool:
        """Whether val should be scored now, which is thought to take so many `seconds`."""
        if self._limit is None or not self._scorings:
            return False
        if self._clock() - self._began < self._scorings[0] * self._limit:
            return False
        self._scorings.pop(0)
        return seconds * len(SCORINGS) <= MOST_SCORING * self._limit

    @property
    def over(self) -> bool:
        return self._limit is not None and self._clock() - self._began >= self._limit

    def steps(self, done: int, planned: int) -> int | None:
        """How many steps in all fit, if that is worth changing `planned` now; else None.

        done: steps so far. Call it after each step. The first few of a run, or after a change, do
        not count as its speed: they prepare what the others find ready.
        """
        if self._limit is None or not self._left:
            return None
        now = self._clock() - self._began
        if self._mark is None:
            self._mark = (done + 2, None)
        first, began = self._mark
        if began is None:
            if done >= first:
                self._mark = (done, now)
            return None
        if now < self._left[0] * self._limit or done == first:
            return None
        while self._left and now >= self._left[0] * self._limit:
            self._left.pop(0)
        speed = (done - first) / (now - began)
        fit = done + max(1, int(0.98 * speed * (self._limit - now)))
        if abs(fit - planned) <= 0.02 * (self._limit - now) * speed:
            return None
        self._mark = None
        return fit
