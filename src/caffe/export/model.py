"""From a written graph to an ONNX file: the only part that needs the package onnx."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Dim, ExportError, Graph, Node

__all__ = ["IR_VERSION", "OPSET", "require", "save", "to_model"]

#: The operator set that is written, and the file format's version that came with it: the first
#: whose Softmax works along one axis, as Caffe's.
OPSET, IR_VERSION = 13, 7


#: Bytes of a message of Protocol Buffers.
_LARGEST = 2**31 - 1


def require(package: str) -> Any:
    """Import onnx or onnxruntime; raises ExportError that says what to install."""
    try:
        return __import__(package)
    except ImportError as error:
        raise ExportError(
            f"the export needs the package {package}, which cannot be imported ({error}): "
            'pip install "pycaffe-torch[onnx]"'
        ) from None


def to_model(
    g: Graph, name: str, half: bool = False, metadata: Mapping[str, str] | None = None
) -> Any:
    """The ``onnx.ModelProto`` of a graph.

    With ``half`` the layers' parameters are stored as float16 and cast to float32 when the graph
    runs, which computes in float32.
    """
    onnx = require("onnx")
    model = onnx.helper.make_model(
        _graph(onnx, g, name, half),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pycaffe-torch",
        producer_version=_version(),
    )
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def _version() -> str:
    from caffe import _shadow

    return str(_shadow.own_version())


def _graph(onnx: Any, g: Graph, name: str, half: bool = False) -> Any:
    made = onnx.GraphProto(name=name)
    for cast in _casts(g) if half else ():
        made.node.append(_node(onnx, cast))
    made.node.extend(_node(onnx, node) for node in g.nodes)
    for constant, values in g.constants.items():
        narrow = half and constant in g.weights
        made.initializer.append(
            onnx.numpy_helper.from_array(
                values.astype(np.float16) if narrow else values,
                _stored(constant) if narrow else constant,
            )
        )
    for target, values_of in ((made.input, g.inputs), (made.output, g.outputs)):
        for tensor, dims in values_of:
            target.append(_value(onnx, tensor, dims))
    return made


def _stored(constant: str) -> str:
    return f"{constant}/half"


def _casts(g: Graph) -> Iterator[Node]:
    for constant in g.constants:
        if constant in g.weights:
            yield Node(f"{constant}/Cast", "Cast", [_stored(constant)], [constant], {"to": 1})


def _node(onnx: Any, node: Node) -> Any:
    attributes = {
        key: _graph(onnx, value, node.name) if isinstance(value, Graph) else value
        for key, value in node.attributes.items()
    }
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, name=node.name, **attributes)


def _value(onnx: Any, name: str, dims: Sequence[Dim]) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(dims))


def save(model: Any, path: str | os.PathLike[str], examine: bool = True) -> None:
    """Write a model and, unless told otherwise, have onnx examine it: types, shapes, names.

    Raises:
        ExportError: onnx finds the model wrong, or it is larger than its format takes (2 GB).
    """
    onnx = require("onnx")
    size = model.ByteSize()
    if size > _LARGEST:
        raise ExportError(
            f"the graph has {size / 1e9:.1f} GB, more than the 2 GB that one ONNX file holds: "
            "export it with --half"
        )
    try:
        onnx.save_model(model, os.fspath(path))
        if examine:
            onnx.checker.check_model(os.fspath(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx finds the graph wrong: {error}") from error
