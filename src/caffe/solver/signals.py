"""SIGINT and SIGHUP as requests to the solver, installed only while training runs.

A signal is remembered by its handler and acted on between two iterations (or two test batches), so
that no iteration is cut in half.  The handlers of before come back at the end.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from caffe.solver.actions import Action

__all__ = ["SignalHandler", "undisturbed"]

_SIGINT = int(signal.SIGINT)
_NOTE = b"Interrupted: the iteration is finished first; once more ends it at once\n"

_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


# As signal.signal and signal.getsignal, but these make enumerations of numbers, and find out by an
# exception that a function is none: 15 µs a call, four in each iteration.
_set, _get = _signal.signal, _signal.getsignal


@contextlib.contextmanager
def undisturbed(patient: bool = True) -> Iterator[None]:
    """Ctrl-C waits until the body is done, where it would otherwise raise within.

    Where the body takes long, ``patient=False`` tells the user so, and lets a second one through.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread alone
        return
    before = _get(_SIGINT)
    if not callable(before):
        yield
        return
    arrived: list[FrameType | None] = []

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(frame)
        if patient or before is not signal.default_int_handler:
            return
        if len(arrived) > 1:
            arrived.clear()
            signal.default_int_handler(number, frame)
        with contextlib.suppress(OSError):
            os.write(2, _NOTE)  # print might be in the middle of another line

    _set(_SIGINT, note)
    try:
        yield
    finally:
        _set(_SIGINT, before)
        if arrived:
            before(_SIGINT, arrived[-1])


class SignalHandler:
    """A context in which the two signals ask for actions; calling it gives the next request.

    SIGHUP comes before SIGINT where both have arrived.  A signal whose action is "none" is taken
    and ignored.  Must be entered in the main thread, where Python delivers signals.
    """

    def __init__(self, on_int: Action, on_hup: Action):
        self._actions: dict[int, Action] = {}
        if hasattr(signal, "SIGHUP"):  # Windows has none
            self._actions[signal.SIGHUP] = on_hup
        self._actions[signal.SIGINT] = on_int
        self._arrived: dict[int, bool] = dict.fromkeys(self._actions, False)
        self._before: dict[int, _Handler] = {}

    def __enter__(self) -> SignalHandler:
        for number in self._actions:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not installed from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived[number] = True

    def __call__(self) -> Action:
        for number, action in self._actions.items():
            if self._arrived[number]:
                self._arrived[number] = False
                return action
        return Action.NONE
