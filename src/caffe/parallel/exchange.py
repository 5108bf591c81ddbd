"""Collective operations on lists of tensors, a few large messages instead of many small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["Exchange", "in_buckets"]

_BUCKET = 1 << 22  # numbers in one message (16 MiB): past this, larger ones gain nothing


def in_buckets(tensors: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """The tensors in order, in groups of at most ``_BUCKET`` numbers; a larger one is alone."""
    group: list[torch.Tensor] = []
    count = 0
    for tensor in tensors:
        if group and count + tensor.numel() > _BUCKET:
            yield group
            group, count = [], 0
        group.append(tensor)
        count += tensor.numel()
    if group:
        yield group


class Exchange:
    """One message that is under way; its tensors are written by :meth:`finish`.

    Ranks may hold the numbers in different memory orders: they travel in the order of the axes.
    A single contiguous tensor travels without a copy.
    """

    def __init__(self, tensors: list[torch.Tensor], start: Callable[[torch.Tensor], Any]):
        """``start`` begins the operation on one flat tensor, in place, and returns torch's Work."""
        self._tensors = tensors
        first = tensors[0]
        self._in_place = len(tensors) == 1 and first.is_contiguous()
        self._flat = (
            first.view(-1) if self._in_place else torch.cat([t.reshape(-1) for t in tensors])
        )
        self._work = start(self._flat)

    @classmethod
    def sum(cls, tensors: list[torch.Tensor]) -> Exchange:
        """The sum over all ranks, to all ranks."""
        return cls(tensors, lambda flat: dist.all_reduce(flat, async_op=True))

    @classmethod
    def from_root(cls, tensors: list[torch.Tensor]) -> Exchange:
        """Rank 0's numbers, to all ranks."""
        return cls(tensors, lambda flat: dist.broadcast(flat, src=0, async_op=True))

    def finish(self, factor: float = 1.0) -> None:
        """Wait (on a GPU: have its stream wait) and write the result times ``factor``."""
        self._work.wait()
        if factor != 1.0:
            self._flat.mul_(factor)
        if not self._in_place:
            start = 0
            for tensor in self._tensors:
                end = start + tensor.numel()
                tensor.copy_(self._flat[start:end].view(tensor.shape))
                start = end
