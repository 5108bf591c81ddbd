"""Stopping a run by a signal: once after the step it is in, twice at once."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

__all__ = ["Stopping"]


class Stopping:
    """While active, the first Ctrl-C or TERM asks to stop after the step the run is in.

    The second does what it always does. signal: the number of the one that came, else None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> Stopping:
        # HUP is what a closed terminal sends; nohup has it ignored, and it stays so.
        known = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)]
        heard = [s for s in known if s is not None and signal.getsignal(s) is not signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._ask) for s in heard}
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._reset()
        # Not print(): the signal may have come in the middle of one, which cannot be entered twice.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping after this step; again to stop at once\n")

    def _reset(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __exit__(self, *exc: object) -> None:
        self._reset()
