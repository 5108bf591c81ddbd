"""Forward and backward passes over a range of a net's layers: one by one, in the plan's steps, or
replayed on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from caffe.device import current
from caffe.errors import LayerError, naming
from caffe.layer import Need
from caffe.net import debug_info
from caffe.net.layer_step import LayerStep, plus
from caffe.net.plan import Plan
from caffe.net.replay import Loss, Replay
from caffe.net.small_training import SmallTraining
from caffe.net.small_work import SmallWork
from caffe.net.unread_diffs import UnreadDiffs
from caffe.net.wiring import Graph

__all__ = ["LayerCallback", "Passes"]

LayerCallback = Callable[[int], Any]

_NO_LOSS: Loss = np.float32(0)


class Passes:
    """Runs the layers of one net.

    Attributes:
        callbacks: what is called before and after each layer, by the name of Net's method.
        logs: whether ``debug_info`` is on.
    """

    def __init__(self, graph: Graph, logs: bool) -> None:
        self._graph = graph
        self._steps = [LayerStep(graph, i) for i in range(len(graph.layers))]
        self._needs = [
            Need(tuple(bottoms), tuple(params))
            for bottoms, params in zip(graph.bottom_needs_backward, graph.param_needs_backward)
        ]
        self._last = len(graph.layers) - 1
        self.plan = Plan(graph)
        self.replay = Replay(graph)
        self._work = SmallWork(graph, self._steps)
        self._unread = UnreadDiffs(graph, self._needs)
        self._small = SmallTraining(graph, self._needs)
        self._device = current()  # where the last pass ran
        self.logs = logs
        self.callbacks: dict[str, list[LayerCallback]] = {
            "before_forward": [],
            "after_forward": [],
            "before_backward": [],
            "after_backward": [],
        }

    def _follow_device(self) -> None:
        """Take what layers keep between passes along when the thread's device has changed."""
        device = current()
        if device != self._device:
            self._device = device
            self.plan.settle()
            for layer in self._graph.layers:
                layer.move_state(device.torch_device)

    # Forward --------------------------------------------------------------------------------------

    def forward(self, i: int, j: int) -> Loss:
        """Run layers ``i`` to ``j``; the sum of their weighted losses, on a device a tensor that
        nobody has waited for."""
        before, after = self.callbacks["before_forward"], self.callbacks["after_forward"]
        watched = before or after or self.logs
        device = current()
        whole = i == 0 and j == self._last and device.shares_host and not watched
        if whole and device is self._device:
            if self.plan.direct.run():
                return _NO_LOSS
            known = self._small.forward()
            if known is not None:
                return known
        loss = self._forward(i, j, bool(watched))
        if whole:
            self.plan.direct.learn()
        return loss

    def _forward(self, i: int, j: int, watched: bool) -> Loss:
        self._follow_device()
        before, after = self.callbacks["before_forward"], self.callbacks["after_forward"]
        if i == 0 and j == self._last and self._device.shares_host:
            self._work.foresee()
        with torch.no_grad(), self._work:
            self.plan.prepare(i)
            if watched:
                loss: Loss = np.float32(0)
                for k in range(i, j + 1):
                    for call in before:
                        call(k)
                    loss = plus(loss, self.forward_layer(k))
                    for call in after:
                        call(k)
                return loss
            self.plan.release(i, j)
            if not self.replay.on():
                return self._forward_layers(i, j)
            loss = np.float32(0)
            while i <= j:
                end, layers = self.replay.range_at(i, j)
                if layers is None:
                    loss = plus(loss, self._forward_layers(i, end))
                else:
                    run = functools.partial(self._forward_layers, i, end, announced=True)
                    loss = plus(loss, layers.run(run, functools.partial(self._announce, i, end)))
                i = end + 1
            return loss

    def _forward_layers(self, k: int, last: int, announced: bool = False) -> Loss:
        """The layers one by one, or in the plan's steps."""
        loss: Loss = np.float32(0)
        planned, group = self.plan.planned, self.plan.forward_group
        while k <= last:
            if k in planned:
                k_next = group(k, last, self._forward_layers)
                if k_next != k:
                    k = k_next
                    continue
            self.plan.settle(k)
            loss = plus(loss, self._steps[k].forward(announced))
            k += 1
        return loss

    def _announce(self, first: int, last: int) -> None:
        """The host's part of a forward pass that is replayed."""
        for i in range(first, last + 1):
            layer = self._graph.layers[i]
            with naming(layer):
                layer.before_forward(self._graph.bottom(i))

    def forward_layer(self, i: int) -> Loss | None:
        """One layer's forward pass; its weighted loss, None where it has none."""
        self.plan.settle(i)
        loss = self._steps[i].forward()
        if self.logs:
            debug_info.log_forward(self._graph, i)
        return loss

    # Backward -------------------------------------------------------------------------------------

    def backward(self, i: int, j: int) -> None:
        """Run the backward passes of layers ``i`` down to ``j``."""
        before, after = self.callbacks["before_backward"], self.callbacks["after_backward"]
        watched, device = before or after or self.logs, current()
        whole = i == self._last and j == 0 and device.shares_host and not watched
        if whole and device is self._device and self._small.backward():
            return
        self._backward(i, j, bool(watched))
        if whole:
            self._small.learn()

    def _backward(self, i: int, j: int, watched: bool) -> None:
        self._follow_device()
        before, after = self.callbacks["before_backward"], self.callbacks["after_backward"]
        with torch.no_grad(), self._work:
            if watched:
                for k in range(i, j - 1, -1):
                    for call in before:
                        call(k)
                    self.backward_layer(k)
                    for call in after:
                        call(k)
                return
            if self._device.shares_host:
                self._unread.release(i, j)
            if not self.replay.on():
                self._backward_layers(i, j)
                return
            while i >= j:
                end, layers = self.replay.range_at(i, j, backward=True)
                if layers is None:
                    self._backward_layers(i, end)
                else:
                    run = functools.partial(self._backward_layers, i, end, announced=True)
                    layers.run(run, functools.partial(self._announce_backward, i, end))
                i = end - 1

    def release_unread(self) -> None:
        """Before the forward pass of an iteration: let go of what its backward pass overwrites, and
        with it of what the promises of the last one hold."""
        watched = self.logs or any(self.callbacks.values())
        if current().shares_host and not watched:
            self._unread.release(self._last, 0)

    def _backward_layers(self, first: int, last: int, announced: bool = False) -> None:
        k = first
        while k >= last:
            k_next = self.plan.backward_group(k, last, self._needs)
            if k_next == k:
                self.backward_layer(k, announced)
                k_next = k - 1
            k = k_next

    def _announce_backward(self, first: int, last: int) -> None:
        """The host's part of a backward pass that is replayed."""
        for i in range(first, last - 1, -1):
            self._graph.layers[i].before_backward(self._graph.bottom(i))
        self.plan.announce_backward()

    def backward_layer(self, i: int, announced: bool = False) -> None:
        """One layer's backward pass, where it needs one."""
        graph = self._graph
        if not graph.layer_needs_backward[i]:
            return
        step, need = self._steps[i], self._needs[i]
        layer = step.layer
        self.plan.settle(i)
        if layer.is_loss:
            self._refuse_label_gradient(i, need)
        if not announced:
            layer.before_backward(step.bottom)
        layer.backward_blobs(step.top, need, step.bottom)
        if self.logs:
            debug_info.log_backward(graph, i)

    def _refuse_label_gradient(self, i: int, need: Need) -> None:
        """Raise where ``propagate_down: true`` asks a loss for the gradient of its labels.

        BVLC aborts, except where a loss looks at the bottoms with a gradient alone.
        """
        layer = self._graph.layers[i]
        asked = [j for j in layer.no_gradient if j < len(need.bottoms) and need.bottoms[j]]
        if asked and not layer.leaves_out_no_gradient:
            raise layer.fail(
                f"Layer cannot backpropagate to label inputs: bottom {asked[0]} "
                f"('{layer.param.bottom[asked[0]]}') has propagate_down: true",
                LayerError,
            )
