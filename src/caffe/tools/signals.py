"""SIGINT and SIGHUP as requests to the solver, installed only while the tool trains.

A signal is remembered by its handler and acted on between two iterations (or two test batches), so
that no iteration is cut in half.  The handlers of before come back at the end.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from caffe.solver.actions import Action
from caffe.tools.flags import UsageError

__all__ = ["SignalHandler", "action_of"]


def action_of(flag: str, value: str) -> Action:
    """The action that ``-sigint_effect`` or ``-sighup_effect`` names.

    Raises:
        UsageError: it is none of stop, snapshot and none.
    """
    try:
        return Action(value)
    except ValueError:
        raise UsageError(
            f"Invalid signal effect {value!r} was specified for -{flag}: expected "
            f"{', '.join(action.value for action in Action)}"
        ) from None


class SignalHandler:
    """A context in which the two signals ask for actions; calling it gives the next request.

    SIGHUP comes before SIGINT where both have arrived.  A signal whose action is "none" is taken
    and ignored.  Must be entered in the main thread, where Python delivers signals.
    """

    def __init__(self, on_int: Action, on_hup: Action):
        self._actions = {}
        if hasattr(signal, "SIGHUP"):  # Windows has none
            self._actions[signal.SIGHUP] = on_hup
        self._actions[signal.SIGINT] = on_int
        self._arrived = dict.fromkeys(self._actions, False)
        self._before: dict[int, object] = {}

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
