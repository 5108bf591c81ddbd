"""Lstm: long short-term memory over whole sequences, without marks of their ends (CTPN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Lstm")
class Lstm(Layer):
    """T x N x I to T x N x H, or (T N) x I to (T N) x H with ``batch_size`` N (1).

    With a = W_i x + b + W_h h' in four parts i, f, o, g: ``c = f c' + i g`` and ``h = o tanh(c)``,
    i, f, o through sigmoids and g through tanh.  Every pass begins with h' and c' of 0.
    Parameters: W_i (4 H, I), W_h (4 H, H), b (4 H).  ``lstm_param``: ``num_output`` H,
    ``weight_filler``, ``bias_filler``; diffs of a are cut to ``clipping_threshold`` where it is
    above 0.  The second bottom that caffe-lstm takes, and LSTM is for, is refused.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.lstm_param
        self.hidden, self.streams, self.most = p.num_output, p.batch_size, p.clipping_threshold
        if self.hidden < 1 or self.streams < 1:
            raise self.fail(
                f"num_output and batch_size must be positive, got {self.hidden} and {self.streams}",
                LayerError,
            )
        self.length = self._length(bottom_shapes[0])
        self.add_blob((4 * self.hidden, self.length), p.weight_filler)
        self.add_blob((4 * self.hidden, self.hidden), p.weight_filler)
        self.add_blob((4 * self.hidden,), p.bias_filler)

    def _length(self, shape: Shape) -> int:
        if len(shape) not in (2, 3):
            raise self.fail(f"the bottom must be T x N x I or (T N) x I, got {shape}")
        if len(shape) == 2 and shape[0] % self.streams:
            raise self.fail(f"{shape[0]} rows are no {self.streams} sequences of one length")
        return shape[-1]

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if self._length(shape) != self.length:
            raise self.fail(f"its weights are for {self.length} numbers a step, got {shape}")
        self.steps = shape[0] if len(shape) == 3 else shape[0] // self.streams
        self.width = shape[1] if len(shape) == 3 else self.streams
        return [(*shape[:-1], self.hidden)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0].reshape(self.steps, self.width, self.length)
        inner, across, bias = params
        sums = x @ inner.t() + bias
        h = c = x.new_zeros(self.width, self.hidden)
        states = []
        for t in range(self.steps):
            gates = sums[t] + h @ across.t()
            if self.most > 0:
                gates = _CutDiff.apply(gates, self.most)
            i, f, o = torch.sigmoid(gates[:, : 3 * self.hidden]).split(self.hidden, 1)
            c = f * c + i * torch.tanh(gates[:, 3 * self.hidden :])
            h = o * torch.tanh(c)
            states.append(h)
        return [torch.stack(states).reshape(*bottoms[0].shape[:-1], self.hidden)]


class _CutDiff(torch.autograd.Function):
    """Nothing on the way forward; diffs cut to ``[-most, most]`` on the way back."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, most: float) -> torch.Tensor:
        ctx.most = most
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, diff: torch.Tensor) -> tuple[torch.Tensor, None]:
        return diff.clamp(-ctx.most, ctx.most), None
