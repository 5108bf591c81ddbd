"""LSTM, and LSTMUnit, one time step of it after the gates' sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._recurrent import Recurrent

if TYPE_CHECKING:
    from caffe.blob import Blob


def activate(gates: torch.Tensor, cont: torch.Tensor) -> Tensors:
    """The gates i, f, o and the candidate g, (N, H) each, of sums (N, 4 H); cont (N, 1).

    cont multiplies f after the sigmoid; where it is 0, f is 0 whatever the sum.
    """
    h = gates.shape[1] // 4
    i, f, o = torch.sigmoid(gates[:, : 3 * h]).split(h, 1)
    return [i, torch.where(cont == 0, 0.0, cont * f), o, torch.tanh(gates[:, 3 * h :])]


def unit(
    c_prev: torch.Tensor, gates: torch.Tensor, cont: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step: the cell c and the output h."""
    i, f, o, g = activate(gates, cont)
    c = f * c_prev + i * g
    return c, o * torch.tanh(c)


def unit_back(
    c_prev: torch.Tensor,
    gates: torch.Tensor,
    cont: torch.Tensor,
    c: torch.Tensor,
    dc: torch.Tensor,
    dh: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The diffs of c_prev and of the gates' sums.

    As in BVLC the slope of f is f (1 - f) with cont in f: the true one where cont is 0 or 1.
    """
    i, f, o, g = activate(gates, cont)
    tanh_c = torch.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    diffs = [
        dc * g * i * (1 - i),
        dc * c_prev * f * (1 - f),
        dh * tanh_c * o * (1 - o),
        dc * i * (1 - g * g),
    ]
    return dc * f, torch.cat(diffs, 1)


class Kept(NamedTuple):
    """What a forward pass leaves for the backward pass."""

    cont: torch.Tensor  # (T, N, 1)
    h_conted: torch.Tensor  # (T, N, H): cont_t h_(t-1)
    gates: torch.Tensor  # (T, N, 4 H): sums, before the sigmoids
    cells: torch.Tensor  # (T, N, H): c_1 to c_T
    first: torch.Tensor  # (N, H): c_0


@register("LSTM")
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), as in LRCN (Donahue et al. 2015).

    With a = W_hc (cont h') + W_xc x + b_c [+ W_xc_static x_static] in four parts i, f, o, g:
    ``c = cont f c' + i g`` and ``h = o tanh(c)``, i, f, o through sigmoids and g through tanh.
    Parameters: W_xc (4 H, D), b_c (4 H), [W_xc_static (4 H, Ds)], W_hc (4 H, H).  The state is h,
    c.  See :class:`Recurrent` for bottoms and tops.

    With one time step the top is the kept h itself, as in BVLC: what later layers or the user
    write into it is what the next pass starts from.
    """

    states = 2
    gates = 4

    def add_step_blobs(self, p: Any) -> None:
        shape = (4 * self.hidden, self.hidden)
        self.add_blob(shape, p.weight_filler)
        for _ in range(self.steps - 1):
            self.draw(shape, p.weight_filler)

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape_blobs(bottom, top)
        if self.steps == 1:
            for blob in top[:2]:  # the output, and the final h where it is exposed
                blob.share_data(self.state[0])

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        inputs = self.inputs(bottoms)
        h, c = inputs.state
        sums = self.project(inputs, params)
        weight = params[-1].t()
        first = c.clone()  # the state's own memory is written below
        conted, cells, outputs = [], [], []
        for t in range(self.steps):
            conted.append(h * inputs.cont[t])
            sums[t].addmm_(conted[t], weight)
            c, h = unit(c, sums[t], inputs.cont[t])
            cells.append(c)
            outputs.append(h)
        self.kept = Kept(inputs.cont.clone(), torch.stack(conted), sums, torch.stack(cells), first)
        final = self.keep_state([h, c])
        if self.steps == 1:
            y = self.state[0].data_tensor()
            return [y, *[y, *final[1:]][: self.exposed]]
        return [torch.stack(outputs), *final]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        self.check_need(need)
        kept = self._kept(bottoms)
        inputs = self.inputs(bottoms)
        first = inputs.state[1] if self.exposed else kept.first
        cont = self.cont_of(inputs, kept.cont)
        diff = torch.empty_like(kept.gates)
        dc = dh = torch.zeros_like(kept.first)
        for t in range(self.steps - 1, -1, -1):
            c_prev = kept.cells[t - 1] if t else first
            dc, diff[t] = unit_back(
                c_prev, kept.gates[t], cont[t], kept.cells[t], dc, dh + top_diffs[0][t]
            )
            dh = (diff[t] @ params[-1]) * cont[t]
        bottom_diffs, param_diffs = self.project_back(bottoms, params, diff)
        param_diffs.append(diff.flatten(0, 1).t() @ kept.h_conted.flatten(0, 1))
        return bottom_diffs, list(param_diffs)

    def _kept(self, bottoms: Tensors) -> Kept:
        """The last forward pass, all zero where there was none for so many streams."""
        if self.kept is not None and self.kept.first.shape[0] == self.streams:
            return self.kept
        zero = bottoms[0].new_zeros
        size = (self.steps, self.streams)
        return Kept(
            zero(*size, 1),
            zero(*size, self.hidden),
            zero(*size, 4 * self.hidden),
            zero(*size, self.hidden),
            zero(self.streams, self.hidden),
        )


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One time step of an LSTM after the gates' sums.

    Bottoms: c_prev (1, N, H); the sums of i, f, o, g (1, N, 4 H); cont (1, N), without gradient.
    Tops: c, h, (1, N, H) each.
    """

    bottoms = 3
    tops = 2
    no_gradient = frozenset({2})

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        c = bottom_shapes[0]
        if len(c) != 3 or c[0] != 1:
            raise self.fail(f"expected the previous cell of (1, N, H); received {c}")
        expected = [c, (1, c[1], 4 * c[2]), (1, c[1])]
        if list(bottom_shapes) != expected:
            raise self.fail(
                "expected bottoms of {}, {}, {} (the cell, four gates, cont); "
                "received {}, {}, {}".format(*expected, *bottom_shapes)
            )
        return [c, c]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        c_prev, gates, cont = bottoms
        return [y.unsqueeze(0) for y in unit(c_prev[0], gates[0], cont[0].unsqueeze(1))]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if need.bottoms[2]:
            raise self.fail(
                "cannot backpropagate to the sequence indicators: set propagate_down: false for "
                "the third bottom, or feed it from a layer without parameters",
                LayerError,
            )
        if not any(need.bottoms):
            return [None] * 3, []
        c_prev, gates, cont = bottoms
        # Both diffs are written where either is asked for, as in BVLC.
        diffs = unit_back(
            c_prev[0], gates[0], cont[0].unsqueeze(1), tops[0][0], *(d[0] for d in top_diffs)
        )
        return [*(d.unsqueeze(0) for d in diffs), None], []
