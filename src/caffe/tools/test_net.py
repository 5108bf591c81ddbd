"""``caffe test``: the mean outputs of a net in its TEST phase."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST
from caffe.solver import detections
from caffe.tools import brew

__all__ = ["run"]


def run(flags: SimpleNamespace) -> int:
    """Score ``-weights`` in ``-model`` over ``-iterations`` batches; returns 0.

    Of detections the mean average precision is told, in each of the ways to compute it.
    """
    brew.use_device(flags)
    net = Net(flags.model, TEST, level=flags.level, stages=brew.stages(flags))
    net.copy_from(flags.weights)
    brew.log(f"Running for {flags.iterations} iterations.")
    total = np.float32(0)
    scores: dict[str, np.ndarray] = {}
    precisions = detections.outputs_of(net)
    for batch in range(flags.iterations):
        total += np.float32(float(net.forward_loss()))
        net.check_verdicts()
        for name, blob, _ in net.output_blobs:
            if name in precisions:
                precisions[name].add(blob.data_numbers())
                continue
            values = blob.data_numbers().ravel()
            scores[name] = values.copy() if batch == 0 else scores[name] + values
            for value in values:
                brew.log(f"Batch {batch}, {name} = {value:g}")
    brew.log(f"Loss: {total / np.float32(flags.iterations):g}")
    for name, _, weight in net.output_blobs:
        if name in precisions:
            for version in detections.VERSIONS:
                brew.log(f"{name} = {precisions[name].mean(version):g} ({version})")
            continue
        for mean in scores[name] / np.float32(flags.iterations):
            note = f" (* {weight:g} = {np.float32(weight) * mean:g} loss)" if weight else ""
            brew.log(f"{name} = {mean:g}{note}")
    return 0
