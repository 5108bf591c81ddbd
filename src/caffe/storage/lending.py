"""The tensor of a storage, and who else counts on its memory: borrowers of its numbers, and the
next numbers, whose memory it may become."""

from __future__ import annotations

import itertools
import math
import operator
import weakref
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from caffe.device import current
from caffe.storage.versions import BOTH, TENSOR, Versioned

__all__ = ["Lending"]

_LARGE = 1 << 20  # numbers of a tensor whose memory is kept for the next ones


class Lending(Versioned):
    """Whose tensor may be written, lent, or kept as spare memory."""

    def __init__(self) -> None:
        super().__init__()
        self._host: np.ndarray | None = None
        self._tensor: torch.Tensor | None = None
        # What tensor() has given on the CPU, and for which shape: the tensor in the state TENSOR,
        # a view of the host copy in the state HOST; None where that may no longer be right.
        self._given: tuple[str, tuple[int, ...], torch.Tensor] | None = None
        self._views: dict[tuple[int, ...], torch.Tensor] = {}  # the tensor under other shapes
        self._lent = False  # somebody counts on the tensor's numbers
        self._borrowers: list[weakref.ref[Any]] = []  # who does, while they live
        self._spare: torch.Tensor | None = None  # memory kept for the next numbers

    # The tensor ---------------------------------------------------------------------------------

    @property
    def held(self) -> torch.Tensor | None:
        """The tensor where it is the newest copy, else None."""
        return self._tensor if self.state in (TENSOR, BOTH) else None

    def holds(self, tensor: torch.Tensor | None) -> bool:
        """True while ``tensor`` is the newest copy and no array that was handed out is alive: then
        it may be written in place, followed by :meth:`touch`."""
        if tensor is None or self.leases or self._is_lent() or self.state not in (TENSOR, BOTH):
            return False
        return tensor is self._tensor or tensor is self._views.get(tuple(tensor.shape))

    def _held_tensor(self) -> torch.Tensor:
        """The storage's tensor, in the states that have one: TENSOR and BOTH."""
        return cast(torch.Tensor, self._tensor)

    def _keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Make it the storage's tensor."""
        self._drop()
        self._tensor = tensor
        return tensor

    def _drop(self) -> None:
        """Let go of the tensor."""
        self._tensor = self._given = None
        self._lent = False
        if self._borrowers:
            self._borrowers.clear()
        if self._views:
            self._views.clear()

    # Its numbers, for others --------------------------------------------------------------------

    def lend(self) -> bool:
        """Promise that the tensor, the newest copy, keeps its numbers while anyone has it: whoever
        would write into it (:meth:`holds`, :meth:`to_overwrite`) uses other memory from now on.
        False where that cannot be promised."""
        self._lent = self.lends
        return self._lent

    def lend_to(self, borrower: object) -> None:
        """:meth:`lend`, where it :attr:`lends`, for as long as ``borrower`` lives."""
        self._borrowers = [ref for ref in self._borrowers if ref() is not None]
        self._borrowers.append(weakref.ref(borrower))

    @property
    def lends(self) -> bool:
        """Whether :meth:`lend` would be True."""
        return self.state == TENSOR and self._host is None and not self.leases

    def to_overwrite(self, tensor: torch.Tensor) -> torch.Tensor:
        """``tensor``, which :meth:`tensor` gave, or a copy where it is lent."""
        return tensor.clone() if self._is_lent() else tensor

    def _is_lent(self) -> bool:
        return self._lent or any(ref() is not None for ref in self._borrowers)

    # Its memory, for the next numbers -----------------------------------------------------------

    def spare(self, shape: Sequence[int]) -> torch.Tensor | None:
        """Memory of ``shape`` that held earlier numbers and that nobody uses, where there is any:
        to be filled and given to :meth:`write` or :meth:`add`."""
        found, self._spare = self._spare, None
        if found is None or found.numel() != math.prod(shape) or not current().shares_host:
            return None
        strides = list(itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1))[::-1]
        return found.as_strided(tuple(shape), strides if shape else ())

    def _save_memory(self) -> None:
        """Keep the tensor's memory as the spare one if it is large and this storage's alone."""
        t = self._tensor
        if t is not None and self.state == TENSOR and t.is_cpu and t.numel() >= _LARGE:
            alone = self._host is None and not self.leases and not self._is_lent()
            dense = t.is_contiguous() or t.is_contiguous(memory_format=torch.channels_last)
            self._spare = t if alone and dense else None
