"""The proof: ONNX Runtime on the file against the engine on the net, on the same numbers.

The difference of two arrays is the largest of their elements', divided by the largest magnitude in
the engine's.  Where a layer decides (ArgMax, a pooling's mask, Threshold), rounding may decide
otherwise about two values that are all but equal, and everything behind would differ.  So what
such a layer reads is compared first, and then the engine goes on from ONNX Runtime's numbers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe.export.graph import ExportError, Graph
from caffe.export.model import require, to_model
from caffe.export.walk import Preprocessing, Written
from caffe.net import Net

__all__ = ["LIMIT", "Runs", "difference", "first_different"]

#: The largest difference of an export.
LIMIT = 1e-4

_DECIDES = frozenset("ArgMax DetectionOutput Filter Proposal Threshold".split())

Arrays = Mapping[str, np.ndarray]


def difference(right: np.ndarray, got: np.ndarray) -> float:
    """The largest difference, relative to the largest magnitude; NaN and infinity must be at the
    same places, and shapes be equal (else infinity)."""
    if right.shape != got.shape:
        return math.inf
    if not right.size:
        return 0.0
    finite = np.isfinite(right)
    if not (finite == np.isfinite(got)).all():
        return math.inf
    if not np.array_equal(right[~finite], got[~finite], equal_nan=True):
        return math.inf
    if not finite.any():
        return 0.0
    right, got = right[finite].astype(np.float64), got[finite].astype(np.float64)
    largest = float(np.abs(right).max())
    apart = float(np.abs(right - got).max())
    return apart / largest if largest else (0.0 if apart == 0 else math.inf)


class Decision(NamedTuple):
    """A layer that decides, and what it reads: (blob, tensor)."""

    layer: int
    reads: list[tuple[int, str]]


class Runs:
    """Runs a net and its graph side by side."""

    def __init__(self, net: Net, written: Written, preprocessing: Preprocessing) -> None:
        self.net, self.written, self.preprocessing = net, written, preprocessing
        self.decisions = _decisions(net, written)

    def more_outputs(self, tensors: Sequence[str]) -> Graph:
        """The graph with further outputs, for looking inside."""
        more: Graph = Graph()
        g = self.written.graph
        more.nodes, more.constants, more.inputs = g.nodes, g.constants, g.inputs
        names = [name for name, _ in g.outputs]
        inputs = {name for name, _ in g.inputs}
        shapes = {tensor: self.net._graph.blobs[b].dims for _, b, tensor in self.written.tops}
        extra = [t for t in dict.fromkeys(tensors) if t not in names and t not in inputs]
        unknown = [(t, [None] * len(shapes[t]) if t in shapes else ()) for t in extra]
        more.outputs = [*g.outputs, *unknown]
        return more

    def session(self, model: Any) -> Any:
        """An ONNX Runtime session on a file or a serialised model."""
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
        if self.decisions:  # nothing fused: the same bits whatever else is asked for
            level = runtime.GraphOptimizationLevel
            options.graph_optimization_level = level.ORT_DISABLE_ALL
        try:
            return runtime.InferenceSession(model, options, ["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common class
            raise ExportError(f"ONNX Runtime does not take the graph: {error}") from error

    def compare(self, path: str, feeds: Arrays) -> dict[str, float]:
        """The difference of each output of a file."""
        session = self.session(path)
        got = self._runtime(session, feeds, [name for name, _ in self.written.graph.outputs])
        inside: dict[str, np.ndarray] = {}
        if self.decisions:
            tensors = [t for d in self.decisions for _, t in d.reads]
            graph = self.more_outputs(tensors)
            tensors = [t for t in tensors if t not in feeds]
            session = self.session(to_model(graph, "inside").SerializeToString())
            inside = self._runtime(session, feeds, tensors)
        right, before = self._engine(feeds, inside)
        result = {name: difference(right[name], got[name]) for name in got}
        for name, value in before.items():  # what decisions were made from
            if value > LIMIT:
                result[name] = value
        return result

    def engine(self, feeds: Arrays) -> dict[str, np.ndarray]:
        """The outputs of the net, by the engine alone."""
        return self._engine(feeds, {})[0]

    def _runtime(self, session: Any, feeds: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
        wanted = list(dict.fromkeys(names))
        given = {name: feeds[name] for name in self.written.inputs}
        try:
            return dict(zip(wanted, session.run(wanted, given)))
        except Exception as error:
            raise ExportError(f"ONNX Runtime fails on the graph: {error}") from error

    def _feed(self, feeds: Arrays) -> None:
        for name in self.net.inputs:
            values = feeds[name]
            if name == self.written.image:
                values = self.preprocessing.apply(values)
            blob = self.net.blobs[name]
            blob.reshape(*values.shape)
            blob.data[...] = values
        for layer in self.net._graph.layers:
            for state in getattr(layer, "state", None) or ():  # of recurrent layers: begin anew
                state.data[...] = 0
        self.net.reshape()

    def _engine(
        self, feeds: Arrays, inside: Arrays
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """The outputs of the net, and how what decisions read differs."""
        self._feed(feeds)
        wiring = self.net._graph
        start, before = 0, {}
        for decision in self.decisions:
            if decision.layer > start:
                self.net._forward(start, decision.layer - 1)
            for b, tensor in decision.reads:
                if tensor in inside:
                    blob = wiring.blobs[b]
                    before[tensor] = difference(blob.data, inside[tensor])
                    if blob.data.shape == inside[tensor].shape:
                        blob.data[...] = inside[tensor]
            start = decision.layer
        self.net._forward(start, len(wiring.layers) - 1)
        outputs = self.written.outputs
        return {name: wiring.blobs[b].data.copy() for name, b in outputs.items()}, before


def _decisions(net: Net, written: Written) -> list[Decision]:
    tensor_of: dict[int, str] = {}
    found: dict[int, Decision] = {}
    wiring = net._graph
    for b in wiring.inputs:
        tensor_of[b] = wiring.blob_names[b]
    for i, b, tensor in written.tops:
        layer = wiring.layers[i]
        if i not in found and (
            layer.type in _DECIDES or (layer.type == "Pooling" and layer.num_tops == 2)
        ):
            found[i] = Decision(i, [(r, tensor_of[r]) for r in wiring.bottoms[i]])
        tensor_of[b] = tensor
    return [found[i] for i in sorted(found)]


def first_different(runs: Runs, feeds: Arrays) -> str:
    """The first layer whose top is farther off than the limit, in words."""
    tensors = list(dict.fromkeys(t for _, _, t in runs.written.tops))
    session = runs.session(to_model(runs.more_outputs(tensors), "inside").SerializeToString())
    tensors = [t for t in tensors if t not in runs.written.inputs]
    got = runs._runtime(session, feeds, tensors)
    runs._feed(feeds)
    net, wiring = runs.net, runs.net._graph
    tops: dict[int, list[tuple[int, str]]] = {}
    for i, b, tensor in runs.written.tops:
        tops.setdefault(i, []).append((b, tensor))
    decisions = {d.layer: d for d in runs.decisions}
    for i, layer in enumerate(wiring.layers):
        for b, tensor in decisions[i].reads if i in decisions else ():
            if tensor in got and wiring.blobs[b].data.shape == got[tensor].shape:
                wiring.blobs[b].data[...] = got[tensor]
        net._forward(i, i)
        for b, tensor in tops.get(i, ()):
            if layer.type == "Split" or tensor not in got:
                continue
            apart = difference(wiring.blobs[b].data, got[tensor])
            if apart > LIMIT:
                return (
                    f"the first layer that differs is '{layer.name}' (type {layer.type}), by "
                    f"{apart:.1e} in '{wiring.blob_names[b]}'"
                )
    return "no layer differs by itself by more"
