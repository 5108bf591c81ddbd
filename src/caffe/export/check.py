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

_DECIDES = frozenset("ArgMax DetectionOutput Filter Proposal Python Threshold".split())

#: Their tops are all but constant where their bottoms are large.
_SATURATES = frozenset("HardSigmoid HSigmoid Sigmoid Softmax TanH".split())

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

    @property
    def looked_at(self) -> dict[str, int]:
        """Tensor -> blob of what is compared beside the outputs: what decisions read, and what an
        output is made from that hardly shows a difference (the scores under a Softmax)."""
        made = {b: i for i, b, _ in self.written.tops}
        tensors = {tensor: b for d in self.decisions for b, tensor in d.reads}
        wiring = self.net._graph
        for b in self.written.outputs.values():
            if wiring.layers[made.get(b, 0)].type in _SATURATES:
                read = wiring.bottoms[made[b]][0]
                last = {c: t for i, c, t in self.written.tops if i < made[b]}
                if read in last:
                    tensors[last[read]] = read
        return {t: b for t, b in tensors.items() if t not in self.written.inputs}

    def compare(self, session: Any, feeds: Arrays) -> dict[str, float]:
        """The difference of each output, and of each blob that is looked at, of the session's
        graph (:meth:`more_outputs`)."""
        looked_at = self.looked_at
        names = list(self.written.outputs)
        got = self._runtime(session, feeds, [*names, *looked_at])
        right, before = self._engine(feeds, got)
        result = {name: difference(right[name], got[name]) for name in names}
        return {**result, **before}

    def confirm(self, path: str, feeds: Arrays) -> dict[str, float]:
        """The difference of each output of a file without what is looked at."""
        got = self._runtime(self.session(path), feeds, list(self.written.outputs))
        if not self.decisions:
            right = self.engine(feeds)
        else:
            looked_at = self.looked_at
            session = self.session(self._inside(list(looked_at)))
            right, _ = self._engine(feeds, self._runtime(session, feeds, list(looked_at)))
        return {name: difference(right[name], got[name]) for name in got}

    def _inside(self, tensors: Sequence[str]) -> bytes:
        """A serialised model that gives these tensors too."""
        model: bytes = to_model(self.more_outputs(tensors), "inside").SerializeToString()
        return model

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
        stops: dict[int, list[tuple[int, str, bool]]] = {}  # layer -> what to compare before it
        decided = {d.layer for d in self.decisions}
        for decision in self.decisions:
            stops[decision.layer] = [(b, tensor, True) for b, tensor in decision.reads]
        for tensor, b in self.looked_at.items():
            reader = max(i for i, bottoms in enumerate(wiring.bottoms) if b in bottoms)
            if reader not in decided:
                stops.setdefault(reader, []).append((b, tensor, False))
        start, before = 0, {}
        for i in sorted(stops):
            if i > start:
                self.net._forward(start, i - 1)
            for b, tensor, go_on in stops[i]:
                if tensor not in inside:
                    continue
                values, other = wiring.blobs[b].data, inside[tensor]
                before[tensor] = difference(values, other)
                if go_on and values.shape == other.shape:
                    values[...] = other
            start = i
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
    session = runs.session(runs._inside(tensors))
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
