"""``caffe train``: train a model, finetune one, or go on from a snapshot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

import caffe
from caffe.errors import DeviceError
from caffe.prototxt import read_solver
from caffe.solver import from_param
from caffe.solver.actions import Action
from caffe.solver.signals import SignalHandler
from caffe.tools import brew
from caffe.tools.flags import UsageError

__all__ = ["action_of", "run"]


def run(flags: SimpleNamespace) -> int:
    """Train as the flags of :mod:`caffe.tools.brew` say; returns 0, after a stop by signal too."""
    param = read_solver(flags.solver)
    param.train_state.level = flags.level
    param.train_state.stage.extend(brew.stages(flags))
    brew.set_arithmetic(flags)
    ids = _device_ids(flags, param)
    handler = SignalHandler(
        action_of("sigint_effect", flags.sigint_effect),
        action_of("sighup_effect", flags.sighup_effect),
    )
    from caffe import parallel

    if len(ids) > 1 or parallel.in_torchrun():
        return _train_on_several(flags, param, ids)
    _use(ids, flags)
    if flags.snapshot or flags.weights:
        param.ClearField("weights")
    if flags.weights:
        param.weights.append(flags.weights)
    with handler:
        solver = from_param(param, flags.solver)
        solver.set_action_function(handler)
        if flags.snapshot:
            brew.log(f"Resuming from {flags.snapshot}")
            solver.restore(flags.snapshot)
        brew.log("Starting Optimization")
        solver.solve()
        brew.log("Optimization Done.")
    return 0


def action_of(flag: str, value: str) -> Action:
    """The action that ``-sigint_effect`` or ``-sighup_effect`` names.

    Raises:
        UsageError: it is none of stop, snapshot and none.
    """
    try:
        return Action(value)
    except ValueError:
        raise UsageError(
            f"Invalid signal effect {value!r} was specified for -{flag}: expected "
            f"{', '.join(action.value for action in Action)}"
        ) from None


def _train_on_several(flags: SimpleNamespace, param: Any, ids: list[int]) -> int:
    from caffe import parallel

    brew.log(f"Using GPUs {', '.join(map(str, ids))}" if ids else "Use CPU.")
    return parallel.train_on(
        ids,
        param,
        flags.snapshot,
        [name.strip() for name in flags.weights.split(",")] if flags.weights else [],
        sigint_effect=flags.sigint_effect,
        sighup_effect=flags.sighup_effect,
        source=flags.solver,
    )


def _device_ids(flags: SimpleNamespace, param: Any) -> list[int]:
    """The GPUs to train on, by the flags, else by the solver file; empty for the CPU."""
    if flags.gpu:
        ids = brew.gpus(flags)
        if not ids:
            raise DeviceError("-gpu all: PyTorch sees no GPU; leave -gpu out to train on the CPU")
        return ids
    # Only what the file says counts: the field's default would be GPU.
    asked = param.HasField("solver_mode") and param.solver_mode == param.GPU
    return [param.device_id] if asked else []


def _use(ids: list[int], flags: SimpleNamespace) -> None:
    """Put this thread on the first of the devices, and log which."""
    if not ids:
        brew.log("Use CPU.")
        caffe.set_mode_cpu()
        return
    brew.log(f"Using GPUs {', '.join(map(str, ids))}")
    try:
        caffe.set_device(ids[0])
        caffe.set_mode_gpu()
    except DeviceError as error:
        if flags.gpu:
            raise
        raise DeviceError(
            f"{flags.solver} says solver_mode: GPU, but: {error}. To train on the CPU write "
            "solver_mode: CPU there"
        ) from error
    brew.log(f"GPU {ids[0]}: {torch.cuda.get_device_name(ids[0])}")
