"""Learning-rate policies: the rate as a function of the number of updates done.

The numbers are float32, rounded where BVLC Caffe rounds (its ``pow`` of a float and an integer is a
double, of two floats a float).
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
    """base_lr * (1 - iter / max_iter) ^ power"""
    if param.max_iter <= 0:
        raise SolverError(
            f"lr_policy 'poly' needs max_iter > 0, received max_iter: {param.max_iter}"
        )
    base = _F32(1) - _F32(iteration) / _F32(param.max_iter)
    return _F32(param.base_lr) * _F32(_pow(base, param.power)), step


def _sigmoid(param: Any, iteration: int, step: int) -> tuple[Any, int]:
    """base_lr / (1 + exp(-gamma * (iter - stepsize)))"""
    _check(param, gamma=True, stepsize=True)
    z = _F32(-param.gamma) * (_F32(iteration) - _F32(param.stepsize))
    with np.errstate(over="ignore"):
        return _F32(param.base_lr) * (_F32(1) / (_F32(1) + np.exp(z))), step


POLICIES = {
    "exp": _exp,
    "fixed": _fixed,
    "inv": _inv,
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
            f"Set lr_policy in the solver.{did_you_mean(param.lr_policy, POLICIES)}"
        )
    rate, step = policy(param, iteration, step)
    return float(_F32(rate)), step
