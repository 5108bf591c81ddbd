"""Applying one update to all parameters: clip, normalise, regularise, rule, subtract."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from caffe import glog
from caffe.net import Net
from caffe.solver.rules import Settings, UpdateRule

__all__ = ["SolverUpdate"]

_F32 = np.float32


class SolverUpdate:
    """The history of a net's parameters, and the update of both.

    ``history`` holds ``rule.histories`` parts after each other, each with one tensor per parameter
    in layer order; None stands for zeros that were never touched, so frozen layers cost nothing.
    """

    def __init__(self, rule: UpdateRule, net: Net):
        self._rule = rule
        self._net = net
        self._params = net.learnable_params
        self.history: list[torch.Tensor | None] = [None] * (rule.histories * len(self._params))

    def apply(self, param: Any, rate: float, iteration: int) -> None:
        """Update every parameter from its diff; the diff then holds what was subtracted.

        Args:
            param: the SolverParameter.
            rate: the learning rate of this update.
            iteration: updates done before this one.
        """
        with torch.no_grad():
            factors = [f for f in (self._clip_factor(param), 1.0 / param.iter_size) if f != 1.0]
            multipliers = zip(self._params, self._net.params_lr, self._net.params_weight_decay)
            for k, (blob, lr_mult, decay_mult) in enumerate(multipliers):
                settings = Settings(
                    rate=float(_F32(rate) * _F32(lr_mult)),
                    momentum=param.momentum,
                    momentum2=param.momentum2,
                    rms_decay=param.rms_decay,
                    delta=param.delta,
                    t=iteration + 1,
                )
                decay = float(_F32(param.weight_decay) * _F32(decay_mult))
                self._apply_one(k, blob, settings, factors, decay, param.regularization_type)

    def _clip_factor(self, param: Any) -> float:
        """What all gradients are multiplied with to bring their joint L2 norm to the limit.

        Taken on the sums over ``iter_size`` passes and before weight decay, as in BVLC.
        """
        limit = param.clip_gradients
        if limit < 0:
            return 1.0
        total = 0.0
        for blob in self._params:
            if not blob.diff_storage.is_zero:
                flat = blob.diff_tensor().reshape(-1)
                total += float(torch.dot(flat, flat))
        norm = float(_F32(math.sqrt(total)))
        if not norm > limit:
            return 1.0
        factor = float(_F32(limit) / _F32(norm))
        glog.info(
            "sgd_solver",
            f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > {limit:g}) by scale "
            f"factor {factor:g}",
        )
        return factor

    def _apply_one(
        self, k: int, blob: Any, s: Settings, factors: list[float], decay: float, kind: str
    ) -> None:
        slots = [k + part * len(self._params) for part in range(self._rule.histories)]
        if s.rate == 0 and self._rule.still_at_zero_rate and self.history[slots[0]] is None:
            blob.zero_diff()  # frozen from the start: nothing to subtract
            return
        diff = blob.diff_tensor()
        data = blob.data_tensor()
        for slot in slots:
            h = self.history[slot]
            if h is None:
                h = torch.zeros(diff.shape, dtype=diff.dtype, device=diff.device)
            self.history[slot] = h.to(diff.device)
        histories = [self.history[slot] for slot in slots]
        factor = math.prod(factors)
        if kind != "L2" or not self._rule.fused(data, diff, histories, s, decay, factor):
            for f in factors:
                diff.mul_(f)
            if decay:
                diff.add_(data if kind == "L2" else data.sign(), alpha=decay)
            self._rule.update(diff, histories, s)
            data.sub_(diff)
        blob.touch_diff()
        blob.touch_data()

    def history_shapes(self) -> list[tuple[int, ...]]:
        return [tuple(b.shape) for b in self._params] * self._rule.histories

    def history_arrays(self) -> list[np.ndarray]:
        return [
            np.zeros(shape, np.float32) if h is None else h.cpu().numpy()
            for h, shape in zip(self.history, self.history_shapes())
        ]
