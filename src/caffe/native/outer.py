"""A gradient of weights that is the product of a column and a row: that of one item.

An update of the weights needs no more than the two, a thousandth of the memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Outer", "PromisedOuter"]


class Outer(NamedTuple):
    """The product of ``u`` and ``v``, which are contiguous."""

    u: torch.Tensor
    v: torch.Tensor


class PromisedOuter:
    """Gives the product in ``memory`` when somebody asks for it (``Storage.defer``).  While this
    lives the numbers of the two must stay as they are."""

    __slots__ = ("__weakref__", "memory", "outer")

    def __init__(self, outer: Outer, memory: torch.Tensor) -> None:
        self.outer, self.memory = outer, memory

    def __call__(self) -> torch.Tensor:
        return torch.mul(self.outer.u.view(-1, 1), self.outer.v.view(-1), out=self.memory)
