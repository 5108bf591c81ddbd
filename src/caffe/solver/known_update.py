"""An update that comes again with the same memory: a small net's, whose blobs stay where they are.

What the native kernels need is then known (native/update.py); to find it out takes longer than they
do.  Anything else than other numbers makes the update an ordinary one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from caffe import kernels
from caffe.blob import Blob
from caffe.device import current
from caffe.native.outer import Outer, PromisedOuter
from caffe.native.update import Parameter, Update
from caffe.net import Net
from caffe.solver.rules import NATIVE, Adam, Settings, UpdateRule
from caffe.storage.many import blobs_stay, keep, stay, touch

__all__ = ["KnownUpdate", "outer_of", "tell"]

_F32 = np.float32
_Tensors = Sequence["torch.Tensor | None"]


class KnownUpdate:
    """The update ``of`` the parameters ``updates``, by their place among those of ``net``.

    Attributes:
        is_whole: whether nothing else has to be done: other parameters are frozen, and were from
            the start.
    """

    def __init__(
        self,
        rule: UpdateRule,
        net: Net,
        history: _Tensors,
        updates: Mapping[int, Parameter],
        of: Update,
    ) -> None:
        self._rule, self._net, self._of, self._history = rule, net, of, list(history)
        self._multipliers = _multipliers(net)
        self._settings: tuple[Any, ...] | None = None
        self._blobs = keep(net.learnable_params)
        self._places = list(updates)
        blobs = [self._blobs[k][0] for k in updates]
        sgd = NATIVE[type(rule)] == "SGD"
        self._updated = [
            (b, p.histories[0] if sgd else None) for b, p in zip(blobs, updates.values())
        ]
        self._written = [b.data_storage for b in blobs]
        self._data = [(b.data_storage, b.dims, p.w) for b, p in zip(blobs, updates.values())]
        self._outers: list[tuple[Blob, Outer]] = []
        self._diffs: list[tuple[Blob, int, tuple[int, ...]]] = []  # which are not kept: they may go
        for blob, p in zip(blobs, updates.values()):
            if isinstance(p.g, Outer):
                self._outers.append((blob, p.g))
            else:
                self._diffs.append((blob, p.g.data_ptr(), p.w.stride()))
        others = [k for k in range(len(self._blobs)) if k not in updates]
        self._frozen = [self._blobs[k][0] for k in others]
        still = all(net.learnable[k].lr_mult == 0 and history[k] is None for k in others)
        self.is_whole = still and (rule.still_at_zero_rate or not others)

    def run(self, param: Any, rate: float, iteration: int, history: _Tensors) -> bool:
        """False where the update is to be an ordinary one; then nothing is changed."""
        if not current().shares_host or not kernels.enabled() or param.clip_gradients >= 0:
            return False
        if param.regularization_type not in ("L1", "L2") or not self._have_stayed(history):
            return False
        if not self._set(param, rate, iteration):
            return False
        factor = 1.0 if param.iter_size == 1 else 1.0 / param.iter_size
        self._of.run(factor, self._kept, param.delta, param.regularization_type == "L1")
        for blob, subtracted in self._updated:
            tell(blob, subtracted)
        touch(self._written)
        for blob in self._frozen:
            blob.zero_diff()
        return True

    def _have_stayed(self, history: _Tensors) -> bool:
        if not blobs_stay(self._blobs):
            return False
        if any(a is not b for a, b in zip(self._history, history)):
            return False
        if any(outer_of(blob) is not outer for blob, outer in self._outers):
            return False
        for blob, address, strides in self._diffs:
            found = blob.diff_tensor()
            if found.data_ptr() != address or found.stride() != strides:
                return False
            if found.dtype is not torch.float32:
                return False
        return stay(self._data)

    def _set(self, param: Any, rate: float, iteration: int) -> bool:
        """The rates and decays, where they are others than the last time; False where one is 0, or
        a multiplier is another."""
        if self._multipliers != _multipliers(self._net):
            return False
        numbers = param.momentum, param.momentum2, param.rms_decay, param.delta
        drift = iteration if isinstance(self._rule, Adam) else 0
        settings = rate, param.weight_decay, *numbers, drift
        if settings == self._settings:
            return True
        rates = []
        for k in self._places:
            lr_mult, decay_mult = self._multipliers[k]
            own = Settings(float(_F32(rate) * _F32(lr_mult)), *numbers, iteration + 1)
            if not own.rate:
                return False
            self._kept = self._rule.kept(own)
            decay = float(_F32(param.weight_decay) * _F32(decay_mult))
            rates.append((self._rule.rate(own), decay))
        self._of.set_rates(rates)
        self._settings = settings
        return True


def _multipliers(net: Net) -> list[tuple[float, float]]:
    return list(zip(net.params_lr, net.params_weight_decay))


def outer_of(blob: Blob) -> Outer | None:
    """The gradient where it is an outer product that nobody has asked for."""
    promised = blob.diff_storage.promised
    return promised.outer if isinstance(promised, PromisedOuter) else None


def tell(blob: Blob, subtracted: torch.Tensor | None) -> None:
    """Let the parameter's diff be what was subtracted: this history, or what lies there already."""
    storage = blob.diff_storage
    if subtracted is None:
        storage.touch()
    elif current().shares_host and storage.leases:
        blob.diff_tensor().copy_(subtracted)
        storage.touch()
    else:
        # A copy of all parameters that hardly anyone reads: it is made on request.  The next update
        # reads the diffs before it changes the history.
        storage.defer(subtracted.clone, keep_memory=True)
