"""Which layers after a wide padding compute rows and columns that are alike (net/border_step.py),
and the short maps for one size of their input."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple, cast

import torch

from caffe.kernels import border
from caffe.kernels.border import Axis, Index, Operation, Stage
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.wiring import Graph

__all__ = ["Form", "Link", "Part", "chain", "form_of"]

_WORTH = 0.9  # of the area: a stage that computes more is not shortened


class Link(NamedTuple):
    """A convolution or pooling of the chain, with the ReLU in place after it."""

    place: int  # among the net's layers
    layer: Convolution | Pooling
    relu: bool

    @property
    def end(self) -> int:
        return self.place + 1 + self.relu


class Part(NamedTuple):
    """A link for the short maps of one size."""

    link: Link
    layer: Convolution | Pooling  # a copy, for these maps
    axes: tuple[Axis, Axis]  # of its output
    into: tuple[Index, Index] | None  # what its input is made with, where that is not as it is


class Form(NamedTuple):
    """The short maps for one size of the input, on one device."""

    parts: list[Part]
    out: tuple[Index, Index]
    shapes: list[tuple[int, ...]]  # of all tops, whole


# Finding the layers -------------------------------------------------------------------------------


def chain(graph: Graph, i: int, readers: list[list[int]]) -> list[Link]:
    """The links from layer ``i`` on, if it is a convolution with padding wider than its kernel."""
    first: Any = graph.layers[i]
    if not _is_convolution(graph, i) or graph.bottom_needs_backward[i][0]:
        return []
    if any(pad < first._extent(axis) for axis, pad in enumerate(first.pad)):
        return []
    links: list[Link] = []
    blob, relu = None, False
    while i < len(graph.layers):
        layer: Any = graph.layers[i]
        if blob is not None and (graph.bottoms[i] != [blob] or len(readers[blob]) != 1 + relu):
            break
        if not _is_convolution(graph, i) and not _is_pooling(graph, i):
            break
        blob = graph.tops[i][0]
        relu = type(layer) is Convolution and graph.is_relu_of(i + 1, [blob])
        links.append(Link(i, layer, relu))
        i = links[-1].end
    return links


def _is_convolution(graph: Graph, i: int) -> bool:
    layer: Any = graph.layers[i]
    if type(layer) is not Convolution or layer.channel_axis != 1 or layer.spatial_axes != 2:
        return False
    return _is_plain(graph, i)


def _is_pooling(graph: Graph, i: int) -> bool:
    layer = graph.layers[i]
    return type(layer) is Pooling and layer.needs_no_index() and _is_plain(graph, i)


def _is_plain(graph: Graph, i: int) -> bool:
    """True for one bottom and another top, which is no loss."""
    bottoms, tops = graph.bottoms[i], graph.tops[i]
    one = len(bottoms) == 1 and len(tops) == 1 and bottoms != tops
    return one and not any(graph.loss_weights[i])


# Short maps ---------------------------------------------------------------------------------------


def form_of(links: list[Link], bottom: tuple[int, ...], device: torch.device) -> Form | None:
    """The short maps for an input of this shape; None where they are not worth it."""
    if (
        len(bottom) != 4
        or min(bottom) <= 0
        or cast(Convolution, links[0].layer).channels != bottom[1]
    ):
        return None
    stages = _stages(links)
    operations = [_operations(stages, axis, bottom[2 + axis]) for axis in (0, 1)]
    if any(op.out <= 0 for axis in operations for stage in axis for op in stage):
        return None
    plans = [border.shorten(bottom[2 + axis], operations[axis]) for axis in (0, 1)]
    parts: list[Part] = []
    shapes: list[tuple[int, ...]] = []
    short: tuple[int, ...] = bottom
    for stage, rows, columns in zip(stages, *plans):
        if _area(rows, columns, True) > _WORTH * _area(rows, columns, False):
            break
        into = None
        if parts:
            ends = zip(parts[-1].axes, (rows.before, columns.before))
            height, width = (border.index_between(a, b, device) for a, b in ends)
            into = height, width
            short = (*short[:2], rows.before.short_size, columns.before.short_size)
        for link, height_axis, width_axis in zip(stage, rows.after, columns.after):
            layer = copy.copy(link.layer)
            if isinstance(layer, Convolution):
                layer.window = layer.short = None
                if not parts:
                    cuts = rows.before.cut, columns.before.cut
                    layer.pad = [p - cut for p, cut in zip(layer.pad, cuts)]
            (short,) = layer.reshape([short])
            if short[2:] != (height_axis.short_size, width_axis.short_size):
                return None  # a size that does not divide
            parts.append(Part(link, layer, (height_axis, width_axis), into))
            shapes += [(*short[:2], height_axis.size, width_axis.size)] * (1 + link.relu)
            into = None
    if len(parts) < 2:  # spreading one map costs what computing it does
        return None
    rows_out, columns_out = (border.index_between(a, None, device) for a in parts[-1].axes)
    return Form(parts, (rows_out, columns_out), shapes)


def _area(rows: Stage, columns: Stage, short: bool) -> int:
    """Of a stage's last map."""
    ends = rows.after[-1], columns.after[-1]
    return math.prod(axis.short_size if short else axis.size for axis in ends)


def _stages(links: list[Link]) -> list[list[Link]]:
    """The links up to each pooling, and what is left."""
    stages: list[list[Link]] = [[]]
    for link in links:
        stages[-1].append(link)
        if isinstance(link.layer, Pooling):
            stages.append([])
    return [stage for stage in stages if stage]


def _operations(stages: list[list[Link]], axis: int, size: int) -> list[list[Operation]]:
    found: list[list[Operation]] = []
    for stage in stages:
        found.append([])
        for link in stage:
            layer = link.layer
            if isinstance(layer, Convolution):
                extent = layer._extent(axis)
            else:
                extent = cast("list[int]", layer.fixed_kernel)[axis]
            size = layer.out_size(axis, size)
            found[-1].append(Operation(extent, layer.stride[axis], layer.pad[axis], size))
    return found
