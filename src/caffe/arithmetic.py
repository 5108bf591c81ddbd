"""How exactly float32 is multiplied, and whether the same run gives the same bits.

Both settings are the process's, because PyTorch's switches are.  ``fp32`` is the default: every
product of two float32 numbers is a float32 product, as in BVLC Caffe.  PyTorch's own default is
TF32 (10 bits of mantissa) for cuDNN's convolutions, and environment variables change others; so GPU
mode sets each switch by name, see :func:`apply`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from caffe import glog
from caffe.errors import Error

__all__ = [
    "apply",
    "deterministic",
    "environment_overrides",
    "in_float32",
    "precision",
    "set_deterministic",
    "set_precision",
    "warn_of_environment",
]

# name: (TF32 for what is float32, partial sums of bfloat16 products kept in bfloat16)
NAMES = {
    "fp32": (False, False),
    "tf32": (True, False),
    "bf16": (True, True),  # as PyTorch's autocast: what stays float32 is at least bfloat16's equal
}

# Variables that act below PyTorch's switches or before them, and what each one does.
ENVIRONMENT = {
    "NVIDIA_TF32_OVERRIDE": "NVIDIA's libraries obey it above every switch: 0 forbids TF32, "
    "1 forces it",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "PyTorch starts with TF32 matrix products",
    "CUBLAS_EMULATE_SINGLE_PRECISION": "cuBLAS may emulate float32 products with bfloat16 ones",
}


@dataclass
class _State:
    precision: str = "fp32"
    deterministic: bool = False
    applied: bool = False  # of the switches of determinism
    warned: bool = False


class _Here(threading.local):
    float32 = False  # whether this thread computes as with "fp32" for the moment


_state, _here = _State(), _Here()


def set_precision(name: str) -> None:
    """Compute with ``"fp32"`` (the default), ``"tf32"`` or ``"bf16"`` from now on, in all threads.

    ``tf32`` rounds the factors of convolutions and matrix products on NVIDIA GPUs to 10 bits of
    mantissa and adds in float32.  ``bf16`` keeps activations of layers that allow it in bfloat16;
    parameters, their gradients, statistics and losses stay float32.  Raises Error for other names.

    On the CPU ``bf16`` is a permission: a net for inference becomes the same float32 program as
    without it where that is the faster.  That is measured once for each shape and number of
    threads, after 3 passes (6 of a large net), and stays; the results are bfloat16's before and
    either's after.  With :func:`set_deterministic` nothing is measured, and convolutions always
    compute in bfloat16.
    """
    if name not in NAMES:
        raise Error(f"precision is one of {', '.join(NAMES)}, received {name!r}")
    _state.precision = name
    apply()


def precision() -> str:
    """The name given to :func:`set_precision`."""
    return "fp32" if _here.float32 else _state.precision


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """Let the calling thread's layers compute on the CPU as with ``"fp32"``: what is more exact
    than the precision that was asked for is always allowed."""
    before, _here.float32 = _here.float32, True
    try:
        yield
    finally:
        _here.float32 = before


def set_deterministic(on: bool = True) -> None:
    """Make the same run give the same bits on a GPU too, where PyTorch can; slower.

    Without it some GPU kernels add in an order of their own, and a resumed training may differ from
    an uninterrupted one in the last bits.  Call it before the first computation on a GPU, because
    cuBLAS reads its setting once.  An operator that PyTorch has no deterministic form of warns.

    On the CPU a net for inference becomes one program after its 3rd pass of a shape (a large net
    after its 6th, without the native kernels after the 20th), and the last digits then change once;
    with this they never do.
    """
    _state.deterministic = bool(on)
    apply()


def deterministic() -> bool:
    """True after :func:`set_deterministic`."""
    return _state.deterministic


def apply() -> None:
    """Set every one of PyTorch's switches that the two settings stand for.

    Old switches first, then those of PyTorch 2.9 and later by backend and operator; both name the
    same state, so that reading either works afterwards.
    """
    tf32, short_sums = NAMES[_state.precision]
    backends = torch.backends
    backends.cuda.matmul.allow_tf32 = tf32
    backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    if hasattr(backends, "fp32_precision"):
        value = "tf32" if tf32 else "ieee"
        for owner in (
            backends,
            backends.cudnn,
            backends.cudnn.conv,  # type: ignore[attr-defined]  # not in PyTorch's types
            backends.cudnn.rnn,
            backends.cuda.matmul,
        ):
            owner.fp32_precision = value
    backends.cuda.matmul.allow_bf16_reduced_precision_reduction = short_sums
    backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    if hasattr(torch._C, "_set_cublas_allow_fp16_accumulation"):  # PyTorch 2.7 and later
        backends.cuda.matmul.allow_fp16_accumulation = False
    _apply_deterministic()


def _apply_deterministic() -> None:
    on = _state.deterministic
    if not on and not _state.applied:
        return  # leave alone what the user may have set in PyTorch
    _state.applied = on
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(on, warn_only=on)
    torch.backends.cudnn.deterministic = on
    # Nothing here reads such memory.
    torch.utils.deterministic.fill_uninitialized_memory = not on  # type: ignore[attr-defined]


def warn_of_environment() -> None:
    """Log :func:`environment_overrides`, once a process."""
    if not _state.warned:
        _state.warned = True
        for told in environment_overrides():
            glog.warning("precision", f"the environment variable {told}")


def environment_overrides() -> list[str]:
    """The environment variables that are set and may overrule the precision, each with its value
    and what it does."""
    return [
        f"{name}={os.environ[name]}: {effect}"
        for name, effect in ENVIRONMENT.items()
        if os.environ.get(name)
    ]
