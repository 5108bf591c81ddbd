"""LSTM, RNN and LSTMUnit: time steps one after the other, or a Scan; cont ends sequences.

ONNX's own LSTM cannot begin anew in the middle of a sequence, as Caffe's does where cont is 0.  The
graph keeps nothing between two runs: without ``expose_hidden`` each begins from a state of zeros,
as the first pass of a net.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.table import writes

Values = Sequence[Value]

#: (graph, state before, sums, cont) -> state after, whose first is the output; (N, ...) each.
Step = Callable[[Graph, Sequence[str], str, str], list[str]]


#: So many time steps are written one after the other, which every program reads; more as a Scan,
#: which some do not.
_MOST_STEPS = 16


@writes("LSTM")
def lstm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``c = cont f c' + i g``, ``h = o tanh(c)``; the state is h, c."""
    weight = g.node("Transpose", g.weight(layer.blobs[-1], "hidden_weight"), perm=[1, 0])

    def step(body: Graph, state: Sequence[str], sums: str, cont: str) -> list[str]:
        h, c = state
        product = body.node("MatMul", body.node("Mul", h, cont), weight)
        cell, out = _unit(body, body.node("Add", sums, product), c, cont, layer.hidden)
        return [out, cell]

    return _steps(g, layer, bottoms, step)


def _unit(g: Graph, gates: str, c: str, cont: str, hidden: int) -> tuple[str, str]:
    """One step after the gates' sums (N, 4 H): the cell and the output."""
    i, f, o, new = g.nodes_of("Split", 4, gates, g.ints([hidden] * 4), axis=-1)
    kept = g.node("Mul", g.node("Mul", g.node("Sigmoid", f), cont), c)
    added = g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", new))
    cell = g.node("Add", kept, added)
    return cell, g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", cell))


@writes("Lstm")
def lstm_without_ends(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """ONNX's own LSTM, whose gates are in the order i, o, f, g."""
    x = bottoms[0]
    name = x.name
    if len(x.shape) == 2:
        name = g.node("Reshape", name, g.ints([-1, layer.streams, layer.length]))
    inner, across, bias = (_gates_as_onnx(blob, layer.hidden) for blob in layer.blobs)
    y, _, _ = g.nodes_of(
        "LSTM",
        3,
        name,
        g.weight_of(inner[None], "weight"),
        g.weight_of(across[None], "hidden_weight"),
        g.weight_of(np.concatenate([bias, np.zeros_like(bias)])[None], "bias"),
        hidden_size=layer.hidden,
    )
    y = g.node("Squeeze", y, g.ints([1]))  # the axis of directions
    return [y if len(x.shape) == 3 else g.node("Reshape", y, g.ints([-1, layer.hidden]))]


def _gates_as_onnx(blob: Any, hidden: int) -> np.ndarray:
    """The rows of the gates i, f, o, g as i, o, f, g."""
    parts = blob.data_numbers().reshape(4, hidden, *blob.dims[1:])
    return np.concatenate([parts[i] for i in (0, 2, 1, 3)])


@writes("RNN")
def rnn(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``h = tanh(W cont h' + sums)``; the top is ``tanh(W_o h + b_o)``."""
    weight = g.node("Transpose", g.weight(layer.blobs[-3], "hidden_weight"), perm=[1, 0])

    def step(body: Graph, state: Sequence[str], sums: str, cont: str) -> list[str]:
        product = body.node("MatMul", body.node("Mul", state[0], cont), weight)
        return [body.node("Tanh", body.node("Add", sums, product))]

    hidden, *final = _steps(g, layer, bottoms, step)
    out_weight = g.node("Transpose", g.weight(layer.blobs[-2], "out_weight"), perm=[1, 0])
    rows = g.node("MatMul", hidden, out_weight)
    return [g.node("Tanh", g.node("Add", rows, g.weight(layer.blobs[-1], "out_bias"))), *final]


@writes("LSTMUnit")
def lstm_unit(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    c, gates, cont = bottoms
    column = g.node("Unsqueeze", cont.name, g.ints([2]))
    return list(_unit(g, gates.name, c.name, column, c.shape[2]))


def _projected(g: Graph, layer: Any, bottoms: Values) -> tuple[str, str]:
    """What the inputs add to each step, (T, N, gates H), and cont as (T, N, 1)."""
    x, cont = bottoms[:2]
    name = x.name
    if len(x.shape) > 3:
        name = g.reshape(x, [*g.sizes(x)[:2], layer.length])
    y = g.node("MatMul", name, _turned(g, layer, 0, "weight"))
    y = g.node("Add", y, g.weight(layer.blobs[1], "bias"))
    if layer.has_static:
        static = bottoms[2]
        flat = static.name if len(static.shape) == 2 else g.node("Flatten", static.name, axis=1)
        y = g.node("Add", y, g.node("MatMul", flat, _turned(g, layer, 2, "static_weight")))
    return y, g.node("Unsqueeze", cont.name, g.ints([2]))


def _turned(g: Graph, layer: Any, index: int, what: str) -> str:
    return g.node("Transpose", g.weight(layer.blobs[index], what), perm=[1, 0])


def _initial(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The states to start from, (N, H) each."""
    if layer.exposed:
        return [g.node("Squeeze", value.name, g.ints([0])) for value in bottoms[-layer.exposed :]]
    streams: Size = g.size(bottoms[0], 1)
    return [g.node("Expand", g.number(0), g.shape([streams, layer.hidden]))] * layer.states


def _steps(g: Graph, layer: Any, bottoms: Values, step: Step) -> list[str]:
    """All time steps: the outputs (T, N, H), and where they are exposed the final states,
    (1, N, H)."""
    state = _initial(g, layer, bottoms)
    sums, cont = _projected(g, layer, bottoms)
    if layer.steps > _MOST_STEPS:
        *final, outputs = _scan(g, layer, state, [sums, cont], step)
    else:
        made = []
        for t in range(layer.steps):
            at = g.node("Squeeze", g.ints([t]), g.ints([0]))
            state = step(g, state, *(g.node("Gather", x, at, axis=0) for x in (sums, cont)))
            made.append(g.node("Unsqueeze", state[0], g.ints([0])))
        final, outputs = state, made[0]
        if len(made) > 1:
            outputs = g.node("Concat", *made, axis=0)
    exposed = final[: layer.exposed]
    return [outputs, *(g.node("Unsqueeze", y, g.ints([0])) for y in exposed)]


def _scan(
    g: Graph, layer: Any, state: Sequence[str], inputs: Sequence[str], step: Step
) -> list[str]:
    """The final states (N, H) and the outputs of all steps (T, N, H), by a loop.

    The names inside are the step's own: those of the graph around it may be used in it, and not
    again for other tensors.
    """
    name, body, hidden = f"{layer.name}/step", Graph(), (None, layer.hidden)
    states = [f"{name}.{what}" for what in ("h", "c")[: layer.states]]
    sums, cont = f"{name}.sums", f"{name}.cont"
    with body.layer(name):
        new = step(body, states, sums, cont)
        out = body.node("Identity", new[0])
    body.inputs = [(what, hidden) for what in states]
    body.inputs += [(sums, (None, layer.gates * layer.hidden)), (cont, (None, 1))]
    body.outputs = [(what, hidden) for what in (*new, out)]
    scanned = {"body": body, "num_scan_inputs": len(inputs)}
    return g.nodes_of("Scan", len(state) + 1, *state, *inputs, **scanned)
