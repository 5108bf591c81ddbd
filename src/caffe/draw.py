"""Pictures of nets, by Graphviz: layers are boxes, blobs octagons, the net's outputs ellipses.

``draw_net_to_file(net_parameter, "net.png")``; the command ``caffe draw_net`` does the same.  Needs
the package pydot, and for pictures Graphviz's program ``dot``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caffe.errors import Error
from caffe.proto import caffe_pb2

__all__ = [
    "BLOB_STYLE",
    "LAYER_STYLE_DEFAULT",
    "NEURON_LAYER_STYLE",
    "choose_color_by_layertype",
    "draw_net",
    "draw_net_to_file",
    "get_edge_label",
    "get_layer_label",
    "get_layer_lr_mult",
    "get_pooling_types_dict",
    "get_pydot_graph",
]

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}  # in place
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_FILTERS = ("Convolution", "Deconvolution")
_WITH_RATES = (*_FILTERS, "InnerProduct")


def get_pooling_types_dict() -> dict[int, str]:
    """The names of the pooling methods by their numbers."""
    values = caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values
    return {value.number: value.name for value in values}


def choose_color_by_layertype(layertype: str) -> str:
    """The fill colour of a layer's box."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_edge_label(layer: Any) -> Any:
    """What stands at the arrows from a layer: its batch size or number of outputs, or ``""``."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in _FILTERS:
        return layer.convolution_param.num_output
    if layer.type == "InnerProduct":
        return layer.inner_product_param.num_output
    return '""'


def get_layer_lr_mult(layer: Any) -> tuple[float, float]:
    """The multipliers of the learning rate for weights and bias, 1.0 where none is written.

    Raises:
        ValueError: a layer that is no (de)convolution nor inner product.
    """
    if layer.type not in _WITH_RATES:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    given = [param.lr_mult for param in layer.param][:2]
    weights, bias = given + [1.0] * (2 - len(given))
    return weights, bias


def get_layer_label(layer: Any, rankdir: str, display_lrm: bool = False) -> str:
    """What stands in a layer's box, in quotes: name, type, kernel, and with ``display_lrm`` rates.

    One line in vertical graphs (TB, BT), where there is room to the sides; else one line each.
    """
    parts = [layer.name]
    if layer.type in _FILTERS:
        param = layer.convolution_param
        shape = [(param.kernel_size, 1), (param.stride, 1), (param.pad, 0)]
        sizes = [values[0] if len(values) else default for values, default in shape]
        parts += [f"({layer.type})", *_sizes(*sizes)]
    elif layer.type == "Pooling":
        param = layer.pooling_param
        method = get_pooling_types_dict()[param.pool]
        parts += [f"(Pooling {method})", *_sizes(param.kernel_size, param.stride, param.pad)]
    else:
        parts.append(f"({layer.type})")
    if display_lrm and layer.type in _WITH_RATES:
        weights, bias = get_layer_lr_mult(layer)
        parts.append(f"lr mult: {weights}, {bias}")
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    return f'"{_escaped(separator.join(parts))}"'


def get_pydot_graph(
    caffe_net: Any,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """Returns the net as a ``pydot.Dot``.

    Args:
        caffe_net: a NetParameter of today's format.
        rankdir: LR, RL, TB or BT: which way the arrows point.
        label_edges: write numbers of outputs at the arrows.
        phase: ``caffe.TRAIN`` or ``caffe.TEST`` for the layers of that phase, None for all.
        display_lrm: write the multipliers of the learning rate into the boxes.

    Raises:
        Error: pydot is not installed.
        ValueError: a layer has both include and exclude rules.
    """
    pydot = _pydot()
    name = _quoted(caffe_net.name) if caffe_net.name else "Net"
    graph = pydot.Dot(name, graph_type="digraph", rankdir=rankdir)
    nodes: dict[str, Any] = {}
    edges = []
    for layer in caffe_net.layer:
        if phase is not None and not _in_phase(layer, phase):
            continue
        box = f"{layer.name}_{layer.type}"
        label = get_layer_label(layer, rankdir, display_lrm)
        if list(layer.bottom) == list(layer.top) and len(layer.bottom) == 1:
            style = NEURON_LAYER_STYLE
        else:
            style = {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}
        nodes[box] = pydot.Node(label, **style)
        for blob in layer.bottom:
            nodes[f"{blob}_blob"] = pydot.Node(_quoted(blob), **BLOB_STYLE)
        for blob in layer.top:  # plain until a layer reads it, so that the net's outputs stand out
            nodes[f"{blob}_blob"] = pydot.Node(_quoted(blob))
        edges += [(f"{blob}_blob", box, '""') for blob in layer.bottom]
        numbers = get_edge_label(layer) if label_edges else '""'
        edges += [(box, f"{blob}_blob", numbers) for blob in layer.top]
    for node in nodes.values():
        graph.add_node(node)
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(nodes[source], nodes[target], label=label))
    return graph


def draw_net(
    caffe_net: Any,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Returns a picture of the net as a file's bytes; ``ext`` is a format of Graphviz's.

    Raises:
        Error: pydot or Graphviz is not installed, or Graphviz cannot make that format.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    try:
        image: bytes = graph.create(format=ext)
        return image
    except FileNotFoundError as error:
        raise Error(
            "pictures are drawn by Graphviz, whose program 'dot' was not found: install Graphviz "
            "(apt-get install graphviz, brew install graphviz). The graph's text needs no "
            "Graphviz: caffe.draw.get_pydot_graph(net, 'LR').to_string()"
        ) from error
    except AssertionError as error:  # pydot's way to say that dot failed
        raise Error(f"Graphviz could not draw the net as {ext!r}: {error}") from error


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Write a picture of the net; the file's extension is the format (png, svg, pdf, ...).

    Raises:
        Error: see :func:`draw_net`; then no file is written.
    """
    ext = Path(filename).suffix[1:]
    if not ext:
        raise Error(
            f"the picture's format is the file's extension, and {os.fspath(filename)!r} has none: "
            "name it .png, .svg or .pdf"
        )
    Path(filename).write_bytes(draw_net(caffe_net, rankdir, ext, phase, display_lrm))


def _sizes(kernel: int, stride: int, pad: int) -> list[str]:
    return [f"kernel size: {kernel}", f"stride: {stride}", f"pad: {pad}"]


def _in_phase(layer: Any, phase: int) -> bool:
    """True where the layer's rules, of which only the phases count here, admit it."""
    if layer.include and layer.exclude:
        raise ValueError(f"layer {layer.name} has both include and exclude specified.")
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return all(rule.phase != phase for rule in layer.exclude)


def _escaped(text: str) -> str:
    return text.replace('"', r"\"")


def _quoted(text: str) -> str:
    """A name as Graphviz takes it literally (a colon would name a port)."""
    return f'"{_escaped(text)}"'


def _pydot() -> Any:
    try:
        import pydot
    except ImportError as error:
        raise Error(
            "drawing nets needs the package pydot, which is not installed: pip install pydot "
            "(and Graphviz for pictures: apt-get install graphviz)"
        ) from error
    return pydot
