"""What a process of segdata.processes does: load the batches it is asked for, until none come."""

import contextlib
import pickle
import signal

from segdata.errors import DataError
from segdata.processes import Slot

__all__ = ["work"]


def work(tasks, replies: int, *slots: int) -> None:
    """Read ``load`` and then (slot, task) pairs from ``tasks``; answer by a layout or an error.

    Interrupts and termination are the parent's: it may want one more batch before it ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    shared = [Slot(descriptor) for descriptor in slots]
    # Closing writes what is left, too: nobody may be there to read it.
    with contextlib.suppress(BrokenPipeError), open(replies, "wb") as out:
        load = pickle.load(tasks)
        while True:
            try:
                slot, task = pickle.load(tasks)
            except EOFError:
                return
            try:
                answer = _loaded(load, task, shared[slot])
            except DataError as error:
                answer = error
            except Exception as error:
                answer = DataError(f"{type(error).__name__} while a batch was prepared: {error}")
            pickle.dump(answer, out)
            out.flush()


def _loaded(load, task, slot: Slot):
    """Load a batch into shared memory; its layout."""
    layout: list = []

    def empty(shapes_and_types):
        layout.extend((tuple(shape), str(dtype)) for shape, dtype in shapes_and_types)
        return slot.arrays(layout)

    load(task, empty)
    return layout
