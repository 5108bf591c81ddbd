"""A parameter's memory whose random values are drawn when somebody first looks.

Most nets get weights from a file or from another net as soon as they are built; nothing is drawn
for those then.  Only a stream that nobody can know (``rng.Generator.known``) may be left alone like
this: with a seed, what is drawn later depends on what was drawn here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe.storage import Storage
from caffe.storage.versions import HOST, ZERO

__all__ = ["Unfilled"]


class Unfilled(Storage):
    """A storage that becomes an ordinary one at the first question after its ``state``, which every
    access asks: by then ``fill`` has written the values into the host copy."""

    def __init__(self, capacity: int, fill: Callable[[np.ndarray], object]) -> None:
        super().__init__(capacity)
        self._fill = fill

    @property
    def state(self) -> str:
        """Where the newest numbers are: in the host copy, once they are drawn."""
        values = np.empty(self.capacity, np.float32)
        self._fill(values)
        self._become(HOST)
        self._host = values
        return HOST

    @state.setter
    def state(self, value: str) -> None:
        if "_fill" in self.__dict__:  # the base class sets it when it is made
            self._become(value)

    def discard(self) -> None:
        """All values will be written: draw none, the storage is zero."""
        self._become(ZERO)

    def _become(self, state: str) -> None:
        del self._fill
        self.__class__ = Storage  # type: ignore[assignment]
        self.state = state
