"""Which function writes which layer type.

A writer takes the graph, the engine's layer (set up, its settings checked) and the values of its
bottoms, and returns the names of its tops' tensors, one each.  A file beside this one holds the
writers of a family; a type without one is refused by name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from caffe.export.graph import ExportError, Graph, NeedsFixed, Value
from caffe.layer.extensions._py_faster_rcnn import ProposalLayer

__all__ = ["CUT", "SOURCES", "needs_fixed", "refuse", "writer", "writes", "written_types"]

Writer = Callable[[Graph, Any, Sequence[Value]], list[str]]

#: Where the data come in: their tops become inputs of the graph.
SOURCES = frozenset(
    "Data DummyData HDF5Data ImageData Input MemoryData WindowData DenseImageData ImageSegData "
    "MatRead AnnotatedData VideoData ImageLabelmapData".split()
)

#: What scores, learns or stores, and is left out: the export ends at what it reads.
CUT = frozenset(
    "Accuracy BoxAnnotatorOHEM CTCLoss CenterLoss ContrastiveLoss CtcLoss DetectionEvaluate "
    "EltwiseAccuracy EuclideanLoss HDF5Output HingeLoss InfogainLoss L1Loss MatWrite "
    "MultiBoxLoss MultinomialLogisticLoss SegAccuracy SigmoidCrossEntropyLoss Silence "
    "SmoothL1Loss SmoothL1LossOHEM SoftmaxWithLoss SoftmaxWithLossOHEM TripletLoss "
    "WeightedSoftmaxWithLoss".split()
)

_FILES = (
    "convolution",
    "detection",
    "elementwise",
    "flow",
    "indices",
    "normalisation",
    "pooling",
    "recurrent",
    "regions",
    "resizing",
    "shape",
)

_writers: dict[str, Writer] = {}


def writes(*types: str) -> Callable[[Writer], Writer]:
    """Decorator: the function writes layers of these types."""

    def add(function: Writer) -> Writer:
        for name in types:
            if name in _writers:
                raise ValueError(f"layer type '{name}' has two writers")
            _writers[name] = function
        return function

    return add


@functools.cache
def _load() -> None:
    for name in _FILES:
        importlib.import_module(f"caffe.export.{name}")


def written_types() -> list[str]:
    """The layer types that can be exported."""
    _load()
    return sorted(_writers)


def writer(layer: Any) -> Writer:
    """The function that writes this layer; raises ExportError where there is none."""
    _load()
    if layer.type == "Python" and type(layer.user) is ProposalLayer:
        from caffe.export.regions import python_proposal

        return python_proposal
    if layer.type in _writers:
        return _writers[layer.type]
    why = layer.not_exported or "no ONNX operators are known that compute it"
    raise refuse(layer, f"{why}; export the net up to it with --outputs")


def refuse(layer: Any, why: str) -> ExportError:
    """The error for a layer that cannot be written: ``raise refuse(layer, "...")``."""
    return ExportError(f"layer '{layer.name}' (type {layer.type}) cannot be exported: {why}")


def needs_fixed(layer: Any, why: str) -> NeedsFixed:
    """The error for a layer that cannot be written at free image sizes."""
    return NeedsFixed(f"layer '{layer.name}' (type {layer.type}): {why}")
