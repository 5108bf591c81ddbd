"""``caffe time``: how long each layer takes, forward and backward.

The layers run one by one, without the fusions of an ordinary pass, and each layer's backward pass
runs whether a loss needs it or not: the figures are comparable with BVLC's, and a forward pass of
the same net by ``Net.forward`` may be faster than their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace

import torch

from caffe.net import Net
from caffe.proto import caffe_pb2
from caffe.timer import Timer
from caffe.tools import brew

__all__ = ["run"]


def run(flags: SimpleNamespace) -> int:
    """Time ``-model`` over ``-iterations`` forward and backward passes; returns 0."""
    phase = caffe_pb2.Phase.Value(flags.phase or "TRAIN")
    brew.use_device(flags)
    net = Net(flags.model, phase, level=flags.level, stages=brew.stages(flags))
    brew.log("Performing Forward")  # once before the clock runs, so that memory is there
    brew.log(f"Initial loss: {net.forward_loss():g}")
    brew.log("Performing Backward")
    net.backward_all()
    with torch.no_grad():
        _benchmark(net, flags.iterations)
    return 0


def _benchmark(net: Net, iterations: int) -> None:
    names = list(net._layer_names)
    forward, backward = [0.0] * len(names), [0.0] * len(names)  # ms in all, by layer
    passes = [0.0, 0.0]
    total, one, layer = Timer(), Timer(), Timer()
    brew.log("*** Benchmark begins ***")
    brew.log(f"Testing for {iterations} iterations.")
    total.start()
    for iteration in range(1, iterations + 1):
        spent = 0.0
        ways: list[tuple[Callable[[int], object], list[float], Iterable[int]]] = [
            (net._forward_layer, forward, range(len(names))),
            (net._backward_layer, backward, reversed(range(len(names)))),
        ]
        for way, (run_layer, sums, order) in enumerate(ways):
            one.start()
            for i in order:
                layer.start()
                run_layer(i)
                sums[i] += layer.ms
            passes[way] += one.ms
            spent += one.ms
        brew.log(f"Iteration: {iteration} forward-backward time: {spent:g} ms.")
    total.stop()
    brew.log("Average time per layer: ")
    for name, there, back in zip(names, forward, backward):
        brew.log(f"{name:>10}\tforward: {there / iterations:g} ms.")
        brew.log(f"{name:>10}\tbackward: {back / iterations:g} ms.")
    brew.log(f"Average Forward pass: {passes[0] / iterations:g} ms.")
    brew.log(f"Average Backward pass: {passes[1] / iterations:g} ms.")
    brew.log(f"Average Forward-Backward: {total.ms / iterations:g} ms.")
    brew.log(f"Total Time: {total.ms:g} ms.")
    brew.log("*** Benchmark ends ***")
