"""The test pass of a solver, and the lines that log a net's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from caffe import glog
from caffe.net import Net
from caffe.solver.losses import Losses

__all__ = ["log_outputs", "run_test"]

_F32 = np.float32


def log_outputs(phase: str, outputs: Iterable[tuple[str, np.ndarray, float]]) -> None:
    """One line per value: ``    Train net output #0: loss = 1.5 (* 1 = 1.5 loss)``.

    ``outputs`` are (name, flat values, loss weight); the numbering runs over all of them.
    """
    k = 0
    for name, values, weight in outputs:
        for value in values:
            note = f" (* {weight:g} = {_F32(weight) * value:g} loss)" if weight else ""
            glog.info("solver", f"    {phase} net output #{k}: {name} = {value:g}{note}")
            k += 1


def run_test(
    net: Net, batches: int, compute_loss: bool, interrupted: Callable[[], bool] = lambda: False
) -> None:
    """Run ``batches`` forward passes and log the means of the outputs, and of the loss if asked.

    ``interrupted`` is asked before every pass; True ends the test without any means.
    """
    loss = Losses()
    sums: list[torch.Tensor] = []
    for batch in range(batches):
        if interrupted():
            glog.info("solver", "Test interrupted.")
            return
        loss.add_pass(net.forward_loss())
        with torch.no_grad():
            values = [blob.data_tensor() for _, blob, _ in net.output_blobs]
            if batch == 0:
                sums = [v.to(torch.float32, copy=True) for v in values]
            else:
                for total, v in zip(sums, values):
                    total += v
    net.check_verdicts()
    if compute_loss and batches:
        loss.end_iteration(batches)
        glog.info("solver", f"Test loss: {loss.mean():g}")
    if glog.is_on():
        arrays = [total.cpu().numpy().ravel() / _F32(batches) for total in sums]
        outputs = zip(net.output_blobs, arrays)
        log_outputs("Test", [(name, means, weight) for (name, _, weight), means in outputs])
