"""Python's search for cycles of garbage rests while PyTorch is loaded.

The search begins anew with every 700 objects, and looks at all that there are when a quarter is
new.  Loading PyTorch makes a quarter of a million objects that stay, so the process looks at them
again and again: 0.2 s of the 1.5 s that loading takes, and 0.1 s a little later.  Here they count
as old at once.  Nothing is kept that would have been let go of.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["resting"]


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """While active nothing is searched; afterwards, what is there counts as old."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # whoever froze objects wants them to stay so
            gc.freeze()  # two splices of lists: into the permanent generation, out into the oldest
            gc.unfreeze()
        gc.enable()
