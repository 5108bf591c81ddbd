"""The test pass of a solver, and the lines that log a net's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from caffe import glog
from caffe.net import Net
from caffe.solver import detections
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
    net: Net,
    batches: int,
    compute_loss: bool,
    interrupted: Callable[[], bool] = lambda: False,
    ap_version: str = "Integral",
    show_labels: bool = False,
) -> None:
    """Run ``batches`` forward passes and log the means of the outputs, and of the loss if asked; of
    detections their mean average precision (``ap_version``), and with ``show_labels`` that of each
    label.

    ``interrupted`` is asked before every pass; True ends the test without any means.
    """
    loss = Losses()
    sums: dict[str, torch.Tensor] = {}
    precisions = detections.outputs_of(net)
    for batch in range(batches):
        if interrupted():
            glog.info("solver", "Test interrupted.")
            return
        loss.add_pass(net.forward_loss())
        with torch.no_grad():
            for name, blob, _ in net.output_blobs:
                if name in precisions:
                    precisions[name].add(blob.data_numbers())
                elif batch == 0:
                    sums[name] = blob.data_tensor().to(torch.float32, copy=True)
                else:
                    sums[name] += blob.data_tensor()
    net.check_verdicts()
    if compute_loss and batches:
        loss.end_iteration(batches)
        glog.info("solver", f"Test loss: {loss.mean():g}")
    if glog.is_on():
        means = {name: s.cpu().numpy().ravel() / _F32(batches) for name, s in sums.items()}
        for name, precision in precisions.items():
            means[name] = np.array([precision.mean(ap_version)])
            for label, value in precision.of_labels(ap_version).items() if show_labels else ():
                glog.info("solver", f"class{label}: {value:g}")
        outputs = [(name, means[name], w) for name, _, w in net.output_blobs if name in means]
        log_outputs("Test", outputs)
