"""The net that is exported: in TEST, data layers turned into inputs, weights loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from caffe import layer as layers
from caffe.blob import Blob
from caffe.errors import Error
from caffe.export.graph import ExportError
from caffe.export.table import SOURCES
from caffe.hints import did_you_mean
from caffe.net import Net
from caffe.net.description import filter_net
from caffe.proto.caffe_pb2 import TEST
from caffe.prototxt import read_net

__all__ = ["Shapes", "prepared"]

Shapes = Mapping[str, Sequence[int]]


def prepared(
    source: Net | str | os.PathLike[str], weights: Any = None, shapes: Shapes | None = None
) -> Net:
    """A net of its own in TEST whose data all come from Input layers.

    ``source`` is a prototxt, or a net in TEST whose weights and input shapes are copied.
    ``shapes`` gives blobs of data layers another shape than theirs, or one at all.

    Raises:
        ExportError: a shape that is not known, or for a blob that no data layer makes.
        Error: the prototxt or the weights cannot be read, or do not fit.
    """
    if isinstance(source, Net):
        param, name = source.to_proto(), source._source
        wrong = [layer.name for layer in source._graph.layers if layer.phase != TEST]
        if wrong:
            raise ExportError(
                f"{name}: the export is of a net in TEST; layer '{wrong[0]}' is in TRAIN. Build it "
                "with caffe.Net(prototxt, caffe.TEST)"
            )
        shapes = {**_shapes_of(source, param), **(shapes or {})}
    else:
        name = os.fsdecode(source)
        param = read_net(name)
    param.state.phase = TEST
    param = filter_net(param)
    _feed(param, shapes or {})
    net = Net.from_param(param, name)
    if isinstance(source, Net):
        _copy_weights(source, net)
    if weights is not None:
        net.copy_from(weights)
    return net


def _shapes_of(net: Net, param: Any) -> Shapes:
    """What the data layers of a net have now, which may not be what its prototxt says."""
    tops = [top for layer in param.layer if _is_source(layer) for top in layer.top]
    return {top: tuple(net.blobs[top].dims) for top in tops}


def _copy_weights(source: Net, target: Net) -> None:
    for (_, old), (_, new) in zip(source.layer_params(), target.layer_params()):
        for a, b in zip(old, new):
            b.data[...] = a.data_numbers()


def _feed(param: Any, shapes: Shapes) -> None:
    """Turn the data layers into Input layers of the shapes that they have or are given."""
    sources = [layer for layer in param.layer if _is_source(layer)]
    made = [top for layer in sources for top in layer.top]
    for name in shapes:
        if name not in made:
            raise ExportError(
                f"a shape is given for '{name}', which no data layer makes; they make "
                f"{', '.join(made) or 'nothing'}.{did_you_mean(name, made)}"
            )
    for layer in sources:
        tops = list(layer.top)
        if layer.type == "Input" and not any(top in shapes for top in tops):
            continue
        found = [tuple(shapes[top]) if top in shapes else None for top in tops]
        if None in found:
            found = [a or b for a, b in zip(found, _own_shapes(layer))]
        name = layer.name
        layer.Clear()
        layer.name, layer.type = name, "Input"
        layer.top.extend(tops)
        for shape in found:
            layer.input_param.shape.add().dim.extend(shape or ())


def _is_source(layer: Any) -> bool:
    return layer.type in SOURCES or (layer.type == "Python" and not layer.bottom)


def _own_shapes(param: Any) -> list[tuple[int, ...]]:
    """The shapes of a data layer's tops."""
    how = f"give the shapes: --shape {param.top[0]}=1,3,224,224"
    if param.type == "Python":
        raise ExportError(
            f"layer '{param.name}' (type Python) makes data, and its code is not run; {how}"
        )
    tops = [Blob() for _ in param.top]
    try:
        layer = layers.create(param, TEST)
        layer.check_counts()
        layer.setup_blobs([], tops)
        layer.reshape_blobs([], tops)
    except (Error, OSError) as error:
        raise ExportError(
            f"layer '{param.name}' (type {param.type}) does not say which shapes its tops have: "
            f"{error}; {how}"
        ) from error
    return [tuple(top.dims) for top in tops]
