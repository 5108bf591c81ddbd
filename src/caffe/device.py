"""Where a thread computes: the CPU, a GPU, or the mirror.

As in pycaffe the mode belongs to the thread and starts as the CPU.  The *mirror* is a second copy
of every blob in ordinary memory: it drives the same synchronisation code as a GPU does, so that
this code is tested on machines without one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch

from caffe.arithmetic import apply as apply_precision
from caffe.arithmetic import warn_of_environment
from caffe.errors import DeviceError

__all__ = ["Device", "current", "set_device", "set_mode_cpu", "set_mode_gpu", "set_mode_mirror"]

_PIECE = 8 << 20  # numbers of one upload: 32 MB


@dataclass(frozen=True)
class Device:
    """``shares_host`` is True where tensors and NumPy arrays can be the same memory; ``pinned``
    where uploads go through page-locked memory, so that the host need not wait for them."""

    name: str
    torch_device: torch.device
    shares_host: bool
    pinned: bool = False

    def upload(self, values: np.ndarray) -> torch.Tensor:
        """A copy of the array on the device; the array may be written again at once.

        PyTorch keeps pinned memory until the copy is done, then uses it for the next one.  Large
        arrays go in pieces, so that little of it stays taken.
        """
        source = torch.from_numpy(values)
        if not self.pinned or not source.numel():
            # copy: on the mirror a plain .to() would give the host memory itself
            return source.to(self.torch_device, copy=True)
        if source.numel() <= _PIECE:
            return source.pin_memory().to(self.torch_device, non_blocking=True)
        made = torch.empty(source.shape, dtype=source.dtype, device=self.torch_device)
        for target, piece in zip(
            torch.split(made.view(-1), _PIECE), torch.split(source.view(-1), _PIECE)
        ):
            target.copy_(piece.pin_memory(), non_blocking=True)
        return made


CPU = Device("cpu", torch.device("cpu"), True)
MIRROR = Device("mirror", torch.device("cpu"), False)


class _Mode(threading.local):
    device: Device = CPU
    gpu: int = 0


_mode = _Mode()


def current() -> Device:
    """The calling thread's device."""
    return _mode.device


def set_mode_cpu() -> None:
    """Compute on the CPU (the default of every thread)."""
    _mode.device = CPU


def set_mode_gpu() -> None:
    """Compute on the GPU that :func:`set_device` chose (0 by default).

    Raises DeviceError where PyTorch sees no GPU; BVLC's CPU build accepts the call and aborts
    later.  PyTorch's precision switches are set as :func:`caffe.set_precision` says: TF32 is off by
    default, because it changes results beyond float32 rounding.
    """
    _mode.device = _gpu(_mode.gpu)


def set_mode_mirror() -> None:
    """Compute on the mirror, a stand-in for a GPU in tests."""
    _mode.device = MIRROR


def set_device(index: int) -> None:
    """Choose the GPU for this thread; takes effect in GPU mode."""
    device = _gpu(index)
    _mode.gpu = index
    if _mode.device.torch_device.type == "cuda":
        _mode.device = device


def _gpu(index: int) -> Device:
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = (
            "no GPU or no driver was found"
            if built
            else f"PyTorch {torch.__version__} is a CPU build"
        )
        raise DeviceError(
            f"GPU mode was asked for, but PyTorch sees no GPU ({why}); "
            "use caffe.set_mode_cpu(), or install a GPU build of PyTorch and its driver"
        )
    count = torch.cuda.device_count()
    if not 0 <= index < count:
        raise DeviceError(f"GPU {index} does not exist: this machine has 0..{count - 1}")
    torch.cuda.set_device(index)
    apply_precision()
    warn_of_environment()
    return Device(f"gpu{index}", torch.device("cuda", index), False, pinned=True)
