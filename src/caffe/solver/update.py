"""Applying one update to all parameters: clip, normalise, regularise, rule, subtract."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch

from caffe import glog, kernels
from caffe.blob import Blob
from caffe.device import current
from caffe.native import update
from caffe.native.update import Parameter
from caffe.net import Net
from caffe.solver.known_update import KnownUpdate, outer_of, tell
from caffe.solver.rules import NATIVE, Settings, Sgd, UpdateRule

__all__ = ["SolverUpdate"]

_F32 = np.float32
_LARGE = 1 << 16  # numbers of a parameter that is updated by itself on the CPU


class SolverUpdate:
    """The history of a net's parameters, and the update of both.

    ``history`` holds ``rule.histories`` parts after each other, each with one tensor per parameter
    in layer order; None stands for zeros that were never touched, so frozen layers cost nothing.

    On the CPU the native kernels update all at once, where there are any (native/update.py).
    Without them large parameters are updated one after the other, which suits the caches; small
    ones, and on a GPU all, with the same rate and decay at once, in a few calls, and without
    waiting for the GPU.
    """

    def __init__(self, rule: UpdateRule, net: Net):
        self._rule = rule
        self._net = net
        self._params = net.learnable_params
        # The groups of parameters, and what they follow from.
        self._grouped: tuple[Any, list[tuple[tuple[float, float], list[int]]]] = None, []
        self._known: KnownUpdate | None = None  # the last one, if it may come again
        self.history: list[torch.Tensor | None] = [None] * (rule.histories * len(self._params))

    def apply(self, param: Any, rate: float, iteration: int) -> None:
        """Update every parameter from its diff; the diff then holds what was subtracted.

        Args:
            param: the SolverParameter.
            rate: the learning rate of this update.
            iteration: updates done before this one.
        """
        if self._known is not None and self._known.run(param, rate, iteration, self.history):
            return
        self._known = None
        one_by_one = current().torch_device.type == "cpu"
        with torch.no_grad():
            clip = self._clip_factor(param, one_by_one)
            factors = [f for f in (clip, _share(param.iter_size)) if f is not None]
            kind = param.regularization_type
            native = kind in ("L1", "L2") and self._runs_natively(one_by_one)
            updates: dict[int, Parameter] = {}  # which the native kernels are to do
            for (lr_mult, decay_mult), members in self._groups(one_by_one):
                settings = Settings(
                    rate=float(_F32(rate) * _F32(lr_mult)),
                    momentum=param.momentum,
                    momentum2=param.momentum2,
                    rms_decay=param.rms_decay,
                    delta=param.delta,
                    t=iteration + 1,
                )
                decay = float(_F32(param.weight_decay) * _F32(decay_mult))
                # Where the rate is inside the history, an older one may still move a parameter.
                frozen = lr_mult == 0 and not self._rule.still_at_zero_rate
                outers = native and bool(settings.rate) and type(self._rule) is Sgd
                found = self._gather(self._moved(members, settings), settings, decay, outers)
                if native and settings.rate:
                    taken = {k: p for k, p in found.items() if update.applies(p)}
                    updates.update(taken)
                    found = {k: p for k, p in found.items() if k not in taken}
                if found:
                    self._apply_to(found, settings, factors, decay, kind, frozen)
            if updates:
                factor = math.prod(map(float, factors))
                of = self._update_natively(updates, settings, factor, kind == "L1")
                known = KnownUpdate(self._rule, self._net, self.history, updates, of)
                self._known = known if known.is_whole else None

    def _runs_natively(self, on_cpu: bool) -> bool:
        return on_cpu and type(self._rule) in NATIVE and kernels.enabled()

    def _moved(self, members: list[int], s: Settings) -> list[int]:
        """The parameters without those that were frozen from the start: of these nothing is
        subtracted."""
        if s.rate != 0 or not self._rule.still_at_zero_rate:
            return members
        for k in members:
            if self.history[k] is None:
                self._params[k].zero_diff()
        return [k for k in members if self.history[k] is not None]

    def _gather(
        self, members: list[int], s: Settings, decay: float, outers: bool
    ) -> dict[int, Parameter]:
        """What an update reads and writes of these parameters; with ``outers`` gradients may be
        outer products."""
        rate, count, found = self._rule.rate(s), len(self._params), {}
        for k in members:
            blob = self._params[k]
            data = blob.data_tensor()
            outer = outer_of(blob) if outers else None
            diff = _laid_out_like(data, blob) if outer is None else data
            slots = range(k, self._rule.histories * count, count)
            histories = [self._history_like(diff, slot) for slot in slots]
            p = Parameter(data, diff if outer is None else outer, histories, rate, decay)
            if outer is not None and not update.applies(p):
                p = p._replace(g=_laid_out_like(data, blob))
            found[k] = p
        return found

    def _update_natively(
        self, updates: dict[int, Parameter], s: Settings, factor: float, l1: bool
    ) -> update.Update:
        rule, given = self._rule, list(updates.values())
        name = NATIVE[type(rule)]
        of = update.Update(name, given)
        of.set_rates([(p.rate, p.decay) for p in given])
        of.run(factor, rule.kept(s), s.delta, l1)
        for k, parameter in updates.items():
            tell(self._params[k], parameter.histories[0] if name == "SGD" else None)
            self._params[k].touch_data()
        return of

    def _groups(self, one_by_one: bool) -> list[tuple[tuple[float, float], list[int]]]:
        """Pairs of multipliers with the parameters that are updated at once with these; found anew
        where a multiplier or a size has changed."""
        net = self._net
        known = one_by_one, net.params_lr, net.params_weight_decay, [b.dims for b in self._params]
        if self._grouped[0] != known:
            groups: dict[tuple[float, float, int | None], list[int]] = {}
            for k, pair in enumerate(zip(net.params_lr, net.params_weight_decay)):
                alone = one_by_one and self._params[k].count >= _LARGE
                groups.setdefault((*pair, k if alone else None), []).append(k)
            self._grouped = known, [(pair[:2], members) for pair, members in groups.items()]
        return self._grouped[1]

    def _clip_factor(self, param: Any, on_cpu: bool) -> float | torch.Tensor | None:
        """What all gradients are multiplied with to bring their joint L2 norm to the limit; None
        where that is nothing.  On a GPU always a scalar there, so that updates are the same bits
        with a log, for which the host reads it, and without.

        Taken on the sums over ``iter_size`` passes and before weight decay, as in BVLC.
        """
        limit = param.clip_gradients
        if limit < 0:
            return None
        diffs = [b.diff_tensor() for b in self._params if not b.diff_storage.is_zero]
        if not diffs:
            return None
        factor: float | torch.Tensor | None
        if on_cpu:
            total = 0.0
            for diff in diffs:
                flat = diff.reshape(-1)
                total += float(torch.dot(flat, flat))
            norm = float(_F32(math.sqrt(total)))
            factor = float(_F32(limit) / _F32(norm)) if norm > limit else None
        else:
            joint = torch.stack(torch._foreach_norm(diffs)).norm()
            down = torch.full_like(joint, limit).div_(joint)
            factor = torch.where(joint > limit, down, 1.0)
            if not glog.is_on():
                return factor
            norm = float(joint)
        if norm > limit:
            glog.info(
                "sgd_solver",
                f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > {limit:g}) by "
                f"scale factor {_F32(limit) / _F32(norm):g}",
            )
        return factor

    def _apply_to(
        self,
        found: dict[int, Parameter],
        s: Settings,
        factors: list[float | torch.Tensor],
        decay: float,
        kind: str,
        frozen: bool,
    ) -> None:
        """Update these parameters, which have one rate and one decay.

        ``frozen`` ones get their history, as in BVLC, but nothing is subtracted: what is derived
        from their data stays good.
        """
        rule = self._rule
        data = [p.w for p in found.values()]
        diffs = [cast(torch.Tensor, p.g) for p in found.values()]  # the kernels take the others
        histories = [list(part) for part in zip(*(p.histories for p in found.values()))]
        factor = factors[0] if len(factors) == 1 else math.prod(factors)
        fused = kind == "L2" and rule.fused(data, diffs, histories, s, decay, factor)
        if not fused:
            for f in factors:
                torch._foreach_mul_(diffs, f)
            if decay:
                towards = data if kind == "L2" else torch._foreach_sign(data)
                torch._foreach_add_(diffs, towards, alpha=decay)
            rule.update(diffs, histories, s)
            if not frozen:
                torch._foreach_sub_(data, diffs)
        for i, k in enumerate(found):
            tell(self._params[k], histories[0][i] if fused else None)
            if not frozen:
                self._params[k].touch_data()

    def _history_like(self, diff: torch.Tensor, slot: int) -> torch.Tensor:
        """The history tensor of a slot, on the device and in the memory order of ``diff``."""
        h = self.history[slot]
        if h is None:
            h = torch.zeros_like(diff)
        elif h.device != diff.device or h.stride() != diff.stride():
            h = torch.empty_like(diff).copy_(h)
        self.history[slot] = h
        return h

    def history_shapes(self) -> list[tuple[int, ...]]:
        return [tuple(b.shape) for b in self._params] * self._rule.histories

    def history_arrays(self) -> list[np.ndarray]:
        return [
            np.zeros(shape, np.float32) if h is None else h.cpu().contiguous().numpy()
            for h, shape in zip(self.history, self.history_shapes())
        ]


def _share(iter_size: int) -> float | None:
    return None if iter_size == 1 else 1.0 / iter_size


def _laid_out_like(data: torch.Tensor, blob: Blob) -> torch.Tensor:
    """The blob's diff, its axes of 1 with the strides of the data's (the gradients of depthwise
    weights have others); on a GPU in the memory order of the data, which updates of many tensors at
    once need (cuDNN gives the gradients of some weights channels-last)."""
    diff = blob.diff_tensor()
    wanted = data.stride()
    if diff.stride() == wanted:
        return diff
    if all(a == b or n == 1 for a, b, n in zip(diff.stride(), wanted, data.shape)):
        return diff.as_strided(data.shape, wanted)  # an axis of 1 has no stride to speak of
    if diff.is_cpu:
        return diff
    diff = torch.empty_like(data).copy_(diff)
    blob.set_diff(diff)
    return diff
