"""Which algorithms of cuDNN the passes of a net search for, by how often their shapes have come."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

from caffe.arithmetic import deterministic, precision
from caffe.kernels import tuning

__all__ = ["searching"]


class _Switches:
    """cuDNN's switches, which are the process's: given back when the last thread is done."""

    def __init__(self) -> None:
        self._lock, self._users, self._was = threading.Lock(), 0, (False, False)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Any]:
        cudnn = torch.backends.cudnn
        with self._lock:
            if not self._users:
                self._was = cudnn.benchmark, cudnn.deterministic
            self._users += 1
        try:
            yield cudnn
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    cudnn.benchmark, cudnn.deterministic = self._was


_switches = _Switches()


@contextlib.contextmanager
def searching(trains: bool, stays: bool, captures: bool) -> Iterator[None]:
    """Search for the fastest algorithms meanwhile, where the shape has come before.

    Images of many sizes bring shapes that never come again: a search would take seconds for each,
    and even cuDNN's rule of thumb 15 ms for each convolution.  So a new shape has the rule of thumb
    in TRAIN, and in TEST a product that needs no plan, where its memory allows.

    PyTorch keeps the algorithm of cuDNN that it took first for a shape, but keeps those that are
    deterministic apart from the others.  The search of a net that trains is among all, so its first
    pass asks for deterministic ones; a net that tests searches among these, which forward nearly
    all are.

    A pass that is captured takes what was found in the pass before.  PyTorch tells shapes apart by
    where their memory begins, too; what it does not know there has the rule of thumb, for a search
    waits for the device, which no graph can hold.

    In float32 cuDNN takes its rule of thumb always: the algorithms that its search prefers there
    want gigabytes of working memory (FCN-8s trained in 9.3 GB with them, in 4.4 GB without).
    """
    if deterministic():
        yield
        return
    mode = tuning.measuring() if stays else contextlib.nullcontext() if trains else tuning.passing()
    with _switches.lent() as cudnn, mode:
        if precision() != "fp32":
            cudnn.benchmark = stays and not captures
            cudnn.deterministic = trains != stays
        yield
