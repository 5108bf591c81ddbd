"""The vectors of pycaffe: lists of one kind of element, under the names that pycaffe gives them.

They are Python lists, so they have all that BVLC's have (length, iteration, ``in``, indices that
count from either end, slices, item assignment and deletion, append, extend) and more: ``index``,
comparison by value, printing.  As in BVLC a slice is a vector of the same kind, and a value of
another kind raises TypeError.  Vectors of blobs, layers and nets stand beside what they hold.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

import numpy as np

__all__ = ["BoolVec", "DtypeVec", "IntVec", "StringVec", "Vector"]


class Vector(list[Any]):
    """A list that holds one kind of element; a subclass says which in :meth:`element`."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(map(self.element, values))

    @classmethod
    def element(cls, value: Any) -> Any:
        """``value`` as an element of this vector; raises TypeError where it cannot be one."""
        return value

    @classmethod
    def refusal(cls, value: Any, expected: str, hint: str = "") -> TypeError:
        """The error of :meth:`element`."""
        return TypeError(f"{cls.__name__} holds {expected}, got {type(value).__name__}{hint}")

    def append(self, value: Any) -> None:
        super().append(self.element(value))

    def extend(self, values: Iterable[Any]) -> None:
        super().extend([self.element(value) for value in values])

    def insert(self, index: SupportsIndex, value: Any) -> None:
        super().insert(index, self.element(value))

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [self.element(v) for v in value])
        else:
            super().__setitem__(index, self.element(value))

    def __iadd__(self, values: Iterable[Any]) -> Vector:  # type: ignore[misc]  # as list's own
        self.extend(values)
        return self


class IntVec(Vector):
    """Integers: ``blob.shape``, the indices of a net's inputs and outputs."""

    @classmethod
    def element(cls, value: Any) -> int:
        try:
            return operator.index(value)
        except TypeError:
            raise cls.refusal(value, "integers") from None


class DtypeVec(Vector):
    """Floating-point numbers: the loss weights of a net's blobs."""

    @classmethod
    def element(cls, value: Any) -> float:
        if not isinstance(value, numbers.Real):
            raise cls.refusal(value, "numbers")
        return float(value)


class BoolVec(Vector):
    """Truth values: ``propagate_down`` of a Python layer's ``backward``."""

    @classmethod
    def element(cls, value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise cls.refusal(value, "True and False")
        return bool(value)


class StringVec(Vector):
    """Strings: the names of layers, blobs and layer types."""

    @classmethod
    def element(cls, value: Any) -> str:
        if not isinstance(value, str):
            raise cls.refusal(value, "strings")
        return value
