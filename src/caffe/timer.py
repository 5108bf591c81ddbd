"""Timer: wall-clock time of what runs between two calls, as pycaffe's."""

from __future__ import annotations

import time

import torch

from caffe import glog
from caffe.device import current

__all__ = ["Timer"]


class Timer:
    """A stopwatch: ``start()``, the work, ``stop()``, then :attr:`ms`.

    GPU work is waited for at both ends, so that it counts where it was asked for.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._seconds: float | None = None

    def start(self) -> None:
        """Begin to measure; without effect while running."""
        if self._started is None:
            self._started = _now()
            self._seconds = None

    def stop(self) -> None:
        """End the measurement; without effect while not running."""
        if self._started is not None:
            self._seconds = _now() - self._started
            self._started = None

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop; stops a running timer.  0 if never started."""
        self.stop()
        if self._seconds is None:
            glog.warning("benchmark", "Timer has never been run before reading time.")
            return 0.0
        return self._seconds * 1000


def _now() -> float:
    device = current().torch_device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
