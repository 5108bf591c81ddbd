"""Learning-rate policies: the rate as a function of the number of updates done.

The numbers are float32, rounded where BVLC Caffe rounds (its ``pow`` of a float and an integer is a
double, of two floats a float).

Beyond BVLC, in the words of forks whose solver files are published: the policy ``multifixed``
(YOLO), a rate that grows over the first ``warmup_iter`` (Intel) or ``rampup_interval`` (NVIDIA)
iterations whatever the policy, and ``min_lr`` (NVIDIA), to which ``poly`` falls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.errors import SolverError
from caffe.hints import did_you_mean

__all__ = ["POLICIES", "learning_rate"]

_F32 = np.float32


def _pow(base: Any, exponent: Any) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:  # a negative base with a fractional exponent, or 0 ** negative
        return math.inf if base == 0 else math.nan


def _check(param: Any, gamma: bool = False, stepsize: bool = False) -> None:
    """The settings a policy uses must make sense (BVLC aborts otherwise)."""
    if gamma and param.gamma < 0:
        raise SolverError(
            f"lr_policy {param.lr_policy!r} needs gamma >= 0, received gamma: {param.gamma:g}"
        )
    if stepsize and param.stepsize <= 0:
        raise SolverError(
            f"lr_policy {param.lr_policy!r} needs stepsize > 0, received stepsize: {param.stepsize}"
        )


def _fixed(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr"""
    return param.base_lr, step


def _step(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr * gamma ^ floor(iter / stepsize)"""
    _check(param, gamma=True, stepsize=True)
    step = iteration // param.stepsize
    return param.base_lr * _pow(param.gamma, step), step


def _exp(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr * gamma ^ iter"""
    _check(param, gamma=True)
    return param.base_lr * _pow(param.gamma, iteration), step


def _inv(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr * (1 + gamma * iter) ^ -power"""
    _check(param, gamma=True)
    base = _F32(1) + _F32(param.gamma) * _F32(iteration)
    return _F32(param.base_lr) * _F32(_pow(base, -param.power)), step


def _multistep(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr * gamma ^ step, where step counts the stepvalues passed, one per evaluation."""
    _check(param, gamma=True)
    if step < len(param.stepvalue) and iteration >= param.stepvalue[step]:
        step += 1
    return param.base_lr * _pow(param.gamma, step), step


def _poly(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr * (1 - iter / max_iter) ^ power, or min_lr + (base_lr - min_lr) * the same"""
    if param.max_iter <= 0:
        raise SolverError(
            f"lr_policy 'poly' needs max_iter > 0, received max_iter: {param.max_iter}"
        )
    base = _F32(1) - _F32(iteration) / _F32(param.max_iter)
    least = _F32(param.min_lr)
    return least + (_F32(param.base_lr) - least) * _F32(_pow(base, param.power)), step


def _multifixed(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """The stagelr of the first stageiter that is not passed, the last one after all"""
    if not param.stagelr or len(param.stagelr) != len(param.stageiter):
        raise SolverError(
            f"lr_policy 'multifixed' needs a stageiter for each stagelr, received "
            f"{len(param.stagelr)} stagelr and {len(param.stageiter)} stageiter"
        )
    stages = zip(param.stageiter, param.stagelr)
    return next((rate for last, rate in stages if iteration <= last), param.stagelr[-1]), step


def _sigmoid(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr / (1 + exp(-gamma * (iter - stepsize)))"""
    _check(param, gamma=True, stepsize=True)
    z = _F32(-param.gamma) * (_F32(iteration) - _F32(param.stepsize))
    with np.errstate(over="ignore"):
        return _F32(param.base_lr) * (_F32(1) / (_F32(1) + np.exp(z))), step


# Policies of forks that are not here, and what comes near.
_ELSEWHERE = {
    "plateau": " 'plateau' is SSD's, which lowers the rate where the loss no longer falls; "
    "'multistep' lowers it at given iterations.",
}

POLICIES = {
    "exp": _exp,
    "fixed": _fixed,
    "inv": _inv,
    "multifixed": _multifixed,
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "step": _step,
}


def learning_rate(param: Any, iteration: int, step: int) -> tuple[float, int]:
    """The rate at ``iteration``, and the new ``current_step``.

    Args:
        param: a SolverParameter.
        iteration: updates done.
        step: the solver's ``current_step`` so far; "multistep" advances it by at most one per
            call, "step" sets it, the others leave it.

    Raises:
        SolverError: no or an unknown policy, or settings it cannot work with.
    """
    policy = POLICIES.get(param.lr_policy)
    if policy is None:
        raise SolverError(
            f"Unknown learning rate policy: {param.lr_policy!r} (known: {', '.join(POLICIES)}). "
            f"Set lr_policy in the solver.{_ELSEWHERE.get(param.lr_policy, '')}"
            f"{did_you_mean(param.lr_policy, POLICIES)}"
        )
    rising = _rising(param, iteration)
    if rising is not None:
        return rising, step
    rate, step = policy(param, iteration, step)
    return float(_F32(rate)), step


def _rising(param: Any, iteration: int) -> float | None:
    """The rate while it grows to base_lr, in a line (warmup) or as a square (rampup)."""
    base = _F32(param.base_lr)
    if iteration < param.warmup_iter:
        left = _F32(param.warmup_iter - iteration)
        total = _F32(iteration) * base + left * _F32(param.warmup_start_lr)
        return float(total / _F32(param.warmup_iter))
    if iteration < param.rampup_interval:
        share = _F32(iteration) / _F32(param.rampup_interval)
        start = _F32(param.rampup_lr)
        return float(start + (base - start) * share * share)
    return None
