"""RNN: the plain recurrent layer, with an output layer of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from caffe.layer import MaybeTensors, Need, Tensors, register
from caffe.layer._recurrent import Recurrent


class Kept(NamedTuple):
    """What a forward pass leaves for the backward pass."""

    cont: torch.Tensor  # (T, N, 1)
    h_conted: torch.Tensor  # (T, N, H): cont_t h_(t-1)
    hidden: torch.Tensor  # (T, N, H): h_1 to h_T
    outputs: torch.Tensor  # (T, N, H)


@register("RNN")
class RNN(Recurrent):
    """``h = tanh(W_hh (cont h') + W_xh x + b_h [+ W_xh_static x_static])``, and
    ``o = tanh(W_ho h + b_o)``, the top.

    Parameters: W_xh (H, D), b_h (H), [W_xh_static (H, Ds)], W_hh (H, H), W_ho (H, H), b_o (H).
    The state is h.  See :class:`Recurrent` for bottoms and tops.
    """

    states = 1
    gates = 1

    def add_step_blobs(self, p: Any) -> None:
        h = self.hidden
        blobs = [((h, h), p.weight_filler), ((h, h), p.weight_filler), ((h,), p.bias_filler)]
        for blob in blobs:
            self.add_blob(*blob)
        for _ in range(self.steps - 1):
            for blob in blobs:
                self.draw(*blob)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        inputs = self.inputs(bottoms)
        (h,) = inputs.state
        sums = self.project(inputs, params)
        weight, out_weight, out_bias = params[-3:]
        conted, hidden = [], []
        for t in range(self.steps):
            conted.append(h * inputs.cont[t])
            h = torch.tanh(torch.addmm(sums[t], conted[t], weight.t()))
            hidden.append(h)
        stacked = torch.stack(hidden)
        rows = torch.addmm(out_bias, stacked.flatten(0, 1), out_weight.t())
        outputs = rows.tanh_().view(self.steps, self.streams, self.hidden)
        # With one time step the top is the output that the backward pass reads, as in BVLC.
        own = outputs if self.steps == 1 else outputs.clone()
        self.kept = Kept(inputs.cont.clone(), torch.stack(conted), stacked, own)
        return [outputs, *self.keep_state([h])]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        self.check_need(need)
        kept = self._kept(bottoms)
        weight, out_weight, _ = params[-3:]
        y = tops[0] if self.steps == 1 else kept.outputs
        out_diff = (top_diffs[0] * (1 - y * y)).flatten(0, 1)
        from_top = (out_diff @ out_weight).view(kept.hidden.shape)
        diff = torch.empty_like(kept.hidden)
        dh = torch.zeros_like(diff[0])
        for t in range(self.steps - 1, -1, -1):
            h = kept.hidden[t]
            diff[t] = (dh + from_top[t]) * (1 - h * h)
            dh = (diff[t] @ weight) * kept.cont[t]
        bottom_diffs, param_diffs = self.project_back(bottoms, params, diff)
        param_diffs += [
            diff.flatten(0, 1).t() @ kept.h_conted.flatten(0, 1),
            out_diff.t() @ kept.hidden.flatten(0, 1),
            out_diff.sum(0),
        ]
        return bottom_diffs, list(param_diffs)

    def _kept(self, bottoms: Tensors) -> Kept:
        """The last forward pass, all zero where there was none for so many streams."""
        if self.kept is not None and self.kept.cont.shape[1] == self.streams:
            return self.kept
        shape = (self.steps, self.streams, self.hidden)
        cont = bottoms[0].new_zeros(*shape[:2], 1)
        return Kept(cont, *(bottoms[0].new_zeros(shape) for _ in range(3)))
