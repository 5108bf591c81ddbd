"""The device that a command computes on, chosen and told in one way."""

from __future__ import annotations

import os

import caffe

__all__ = ["PRECISIONS", "NoDevice", "UnknownPrecision", "first_gpu", "hint", "threads", "use"]

#: How exactly float32 numbers are multiplied: see caffe.set_precision.
PRECISIONS = ("fp32", "tf32", "bf16")


class UnknownPrecision(LookupError):
    """The engine does not compute with that precision."""


class NoDevice(RuntimeError):
    """There is no such GPU here."""


def first_gpu() -> int | None:
    """0 where this engine finds a GPU; None on BVLC Caffe, which has no way to ask."""
    if not hasattr(caffe, "__engine__"):
        return None
    caffe.Net  # noqa: B018  # the engine loads PyTorch faster than an import of torch alone
    import torch

    return 0 if torch.cuda.is_available() else None


def use(gpu: int | None, precision: str | None = None) -> str:
    """Compute on that GPU, or with None on the CPU; returns what it is called: "GPU 0", "CPU".

    precision: one of PRECISIONS, None for what is set. UnknownPrecision where the engine is BVLC
    Caffe, which knows fp32 alone.
    """
    if precision:
        if hasattr(caffe, "set_precision"):
            caffe.set_precision(precision)
        elif precision != "fp32":
            raise UnknownPrecision(
                f"--precision {precision}: BVLC Caffe computes in fp32 alone; leave the option out"
            )
    named = f", {precision}" if precision else ""
    if gpu is None:
        caffe.set_mode_cpu()
        return "CPU" + named
    if hasattr(caffe, "__engine__"):
        import torch

        count = torch.cuda.device_count()
        if gpu >= count:
            there = f"the GPUs here are 0 to {count - 1}" if count else "there is no GPU here"
            raise NoDevice(f"--gpu {gpu}: {there}; without --gpu the CPU is used")
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return f"GPU {gpu}{named}"


def threads() -> int | str:
    """How many threads compute on the CPU: sums of floats are taken in another order by others."""
    if hasattr(caffe, "__engine__"):
        import torch

        return torch.get_num_threads()
    return os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or "all"


def hint(gpu: int | None) -> str:
    """For a command that uses the CPU unless told otherwise: what a user could have besides."""
    return " (there is a GPU: --gpu 0 uses it)" if gpu is None and first_gpu() is not None else ""
