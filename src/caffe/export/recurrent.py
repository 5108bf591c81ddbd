"""LSTM, RNN and LSTMUnit: a Scan over the time steps, in which cont ends sequences.

ONNX's own LSTM cannot begin anew in the middle of a sequence, as Caffe's does where cont is 0.  The
graph keeps nothing between two runs: without ``expose_hidden`` each begins from a state of zeros,
as the first pass of a net.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.export.graph import Graph, Size, Value
from caffe.export.table import writes

Values = Sequence[Value]


@writes("LSTM")
def lstm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``c = cont f c' + i g``, ``h = o tanh(c)``; the state is h, c."""
    state = _initial(g, layer, bottoms)
    sums, cont = _projected(g, layer, bottoms)
    weight = g.node("Transpose", g.weight(layer.blobs[-1], "hidden_weight"), perm=[1, 0])
    step = _Step(layer, "h", "c")
    with step.body.layer(step.name):
        conted = step.body.node("Mul", step.inner("h"), step.inner("cont"))
        product = step.body.node("MatMul", conted, weight)
        gates = step.body.node("Add", step.inner("sums"), product)
        c, h = _unit(step.body, gates, step.inner("c"), step.inner("cont"), layer.hidden)
        out = step.body.node("Identity", h)
    return step.scan(g, state, [sums, cont], [h, c, out])


def _unit(g: Graph, gates: str, c: str, cont: str, hidden: int) -> tuple[str, str]:
    """One step after the gates' sums (N, 4 H): the cell and the output."""
    i, f, o, new = g.nodes_of("Split", 4, gates, g.ints([hidden] * 4), axis=-1)
    kept = g.node("Mul", g.node("Mul", g.node("Sigmoid", f), cont), c)
    added = g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", new))
    cell = g.node("Add", kept, added)
    return cell, g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", cell))


@writes("RNN")
def rnn(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``h = tanh(W cont h' + sums)``; the top is ``tanh(W_o h + b_o)``."""
    state = _initial(g, layer, bottoms)
    sums, cont = _projected(g, layer, bottoms)
    weight = g.node("Transpose", g.weight(layer.blobs[-3], "hidden_weight"), perm=[1, 0])
    step = _Step(layer, "h")
    with step.body.layer(step.name):
        conted = step.body.node("Mul", step.inner("h"), step.inner("cont"))
        product = step.body.node("MatMul", conted, weight)
        h = step.body.node("Tanh", step.body.node("Add", step.inner("sums"), product))
        out = step.body.node("Identity", h)
    hidden, *final = step.scan(g, state, [sums, cont], [h, out])
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


class _Step:
    """The graph of one time step.  Its tensors' names are its own: those of the graph around it
    may be used in it, and not again for others."""

    def __init__(self, layer: Any, *states: str) -> None:
        self.layer, self.states = layer, states
        self.name = f"{layer.name}/step"
        self.body = Graph()

    def inner(self, what: str) -> str:
        """What comes in: a state, "sums" or "cont"."""
        return f"{self.name}.{what}"

    def scan(
        self, g: Graph, state: Sequence[str], inputs: Sequence[str], results: Sequence[str]
    ) -> list[str]:
        """The loop over steps that give ``results``, the states and the output: (T, N, H) of all
        steps, and where they are exposed the final states, (1, N, H)."""
        layer, hidden = self.layer, (None, self.layer.hidden)
        self.body.inputs = [(self.inner(what), hidden) for what in self.states]
        self.body.inputs += [
            (self.inner("sums"), (None, layer.gates * layer.hidden)),
            (self.inner("cont"), (None, 1)),
        ]
        self.body.outputs = [(name, hidden) for name in results]
        scanned = {"body": self.body, "num_scan_inputs": len(inputs)}
        *final, steps = g.nodes_of("Scan", len(state) + 1, *state, *inputs, **scanned)
        exposed = final[: layer.exposed]
        return [steps, *(g.node("Unsqueeze", y, g.ints([0])) for y in exposed)]
