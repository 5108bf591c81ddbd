"""Which is faster: layers in bfloat16, or a float32 program in their place.

bfloat16 is a permission to compute less exactly, and a program of float32 kernels is often the
faster of the two where a processor has no tiles.  That depends on the processor, the shapes and the
number of threads, so it is measured, once for each: the layers' passes before the program is made
against the program's on the same inputs.  After that it stays, whatever later passes take, so that
a result depends on how many passes came before it and not on the times of any after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

__all__ = ["Bf16Choice"]

_MOST_RUNS, _ENOUGH = 8, 0.1  # of a program, after the one in which it was tried; seconds


class Bf16Choice:
    """By shapes and threads: the layers' best time, and then the answer."""

    def __init__(self) -> None:
        self._layers: dict[Hashable, float] = {}
        self._takes_program: dict[Hashable, bool] = {}

    def takes_program(self, key: Hashable) -> bool | None:
        """The answer; None while there is none."""
        return self._takes_program.get(key)

    def time_layers(self, key: Hashable, run: Callable[[], object]) -> None:
        """A pass of the layers in bfloat16."""
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        self._layers[key] = min(seconds, self._layers.get(key, seconds))

    def decide(self, key: Hashable, run: Callable[[], bool]) -> bool:
        """Time the program, and find the answer.  ``run`` gives False where the program declines,
        which says nothing of its speed."""
        best, total, runs = float("inf"), 0.0, 0
        while runs < _MOST_RUNS and total < _ENOUGH:
            start = time.perf_counter()
            if not run():
                return False
            seconds = time.perf_counter() - start
            best, total, runs = min(best, seconds), total + seconds, runs + 1
        answer = self._takes_program[key] = best <= self._layers.pop(key, float("inf"))
        return answer
