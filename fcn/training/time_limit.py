"""How many steps fit into a time limit: measured and corrected while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["TimeLimit", "continued"]

#: At these shares of the time val is scored, where that takes less than MOST_SCORING of it in all.
SCORINGS = (0.2, 0.4, 0.6, 0.8)
MOST_SCORING = 0.2

#: At these shares of the time the number of steps is chosen anew: others may use the machine more
#: or less than before.
REPLANS = (0.04, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)


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
        due = now >= self._left[0] * self._limit
        # Where the machine has become faster, the last step would come before the next share.
        soon = done >= 0.9 * planned and now < REPLANS[-1] * self._limit
        if done == first or not (due or soon):
            return None
        while self._left and now >= self._left[0] * self._limit:
            self._left.pop(0)
        speed = (done - first) / (now - began)
        fit = done + max(1, int(0.98 * speed * (self._limit - now)))
        if abs(fit - planned) <= 0.02 * (self._limit - now) * speed:
            return None
        if not due and fit < 1.1 * planned:  # not for the noise of a few steps
            return None
        self._mark = None
        return fit


def continued(solver: Any, done: int, planned: int, steps: int) -> float:
    """The base_lr with which a "poly" rate goes on at step `done` as it was, and reaches zero at
    `steps` instead of `planned`; of other policies the solver's own."""
    if solver.lr_policy != "poly" or done >= min(planned, steps):
        return solver.base_lr
    was, now = 1 - done / planned, 1 - done / steps
    return solver.base_lr * (was / now) ** solver.power
