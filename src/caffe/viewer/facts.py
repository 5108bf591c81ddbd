"""What can be told of each layer of a net once it is built: nothing is computed.

Stride and receptive field follow :mod:`caffe.coord_map`'s rule of where a pixel lies: a window of
extent k adds (k - 1) strides of its bottom to the field.  Interpolation is a window of 2.  Where
pixels no longer lie in rows and columns, as behind Flatten, a value still has a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any

from google.protobuf import text_format

from caffe import coord_map
from caffe.net import Net
from caffe.net.description import filter_net

__all__ = ["Facts", "Parameter", "collect"]

Pair = tuple[Fraction, Fraction]  # of height and width

#: Layers beside coord_map's whose top lies where their first bottom does.
_IN_PLACE = {
    *("Axpy", "BN", "Clip", "Concat", "Crop", "CropCenter", "HSigmoid", "HSwish", "HardSigmoid"),
    *("HardSwish", "LRN", "Mish", "ReLU6", "ShuffleChannel", "Slice", "Softmax", "SpatialDropout"),
    *("Swish", "SyncBN"),
}
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution")
_WINDOWS = (*_CONVOLUTIONS, "Deconvolution", "Im2col", "Pooling")
#: Layers whose top is larger or smaller than their bottom: how many values each of the top sees.
_RESIZING = {"Interp": 2, "Resize": 2, "Unpooling": 1, "Upsample": 1}
#: Layers that may put values elsewhere, each as it is.
_MOVING = ("Flatten", "Permute", "Reshape")

#: Where a value lies: the stride is None where values no longer lie as pixels do.
Place = tuple["Pair | None", "Pair"]


@dataclass
class Parameter:
    """A parameter blob; ``spread``: least, largest, mean, standard deviation, where asked for."""

    shape: tuple[int, ...]
    lr_mult: float
    spread: tuple[float, float, float, float] | None = None


@dataclass
class Facts:
    """One layer.

    Attributes:
        text: its prototxt.
        shapes: of its tops; None where the net could not be built, as all that follows.
        macs: multiply-adds of a forward pass; 0 for what has no weights to multiply by.
        stride: pixels of the input, down and across, from one value of its top to the next; None
            where its values do not lie as pixels do.
        field: how many pixels of the input, down and across, a value depends on.
        ms: milliseconds of a forward pass, where measured.
    """

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    text: str
    shapes: list[tuple[int, ...]] | None = None
    params: list[Parameter] = field(default_factory=list)
    macs: int = 0
    stride: Pair | None = None
    field: Pair | None = None
    ms: float | None = None
    index: int | None = None

    @property
    def in_place(self) -> bool:
        return bool(self.tops) and self.tops == self.bottoms

    @property
    def parameters(self) -> int:
        return sum(prod(p.shape) for p in self.params)


def collect(param: Any, net: Net | None) -> list[Facts]:
    """The Facts of the layers that a NetParameter's state admits; ``net``: as built from it."""
    rows = [
        Facts(
            layer.name,
            layer.type,
            list(layer.bottom),
            list(layer.top),
            text_format.MessageToString(layer),
        )
        for layer in filter_net(param).layer
    ]
    if net is None:
        return rows
    places: dict[str, Place | None] = {}
    graph, position = net._graph, 0
    for row in rows:
        # Split layers stand between, which nobody wrote.
        while graph.layer_names[position] != row.name or graph.layers[position].type != row.type:
            position += 1
        layer = graph.layers[position]
        row.index = position
        row.shapes = [tuple(top.dims) for top in graph.top(position)]
        rates = [spec.lr_mult for spec in layer.param.param]
        row.params = [
            Parameter(tuple(blob.dims), rates[i] if i < len(rates) else 1.0)
            for i, blob in enumerate(layer.blobs)
        ]
        bottoms = [tuple(bottom.dims) for bottom in graph.bottom(position)]
        row.macs = _macs(row, bottoms)
        place = _place(row, layer, bottoms, places)
        row.stride, row.field = place or (None, None)
        places.update({top: place for top in row.tops})
        position += 1
    return rows


def _macs(row: Facts, bottoms: Sequence[tuple[int, ...]]) -> int:
    """Each weight meets every place of a filter's output, or with Deconvolution of its input."""
    if not row.params or not row.shapes:
        return 0
    weight = row.params[0].shape
    if row.type == "Deconvolution":
        return sum(prod(shape) for shape in bottoms) * prod(weight) // weight[0]
    if row.type == "InnerProduct":
        return prod(bottoms[0]) * prod(weight) // weight[-1]
    if row.type in _CONVOLUTIONS:
        return sum(prod(shape) for shape in row.shapes) * prod(weight) // weight[0]
    return 0


def _place(
    row: Facts,
    layer: Any,
    bottoms: Sequence[tuple[int, ...]],
    places: dict[str, Place | None],
) -> Place | None:
    """(stride, field) of the top; None where a value has no place in the input."""
    one = Fraction(1)
    if not row.bottoms:
        spatial = row.shapes and len(row.shapes[0]) == 4
        return ((one, one), (one, one)) if spatial else None
    known = [places.get(bottom) for bottom in row.bottoms[: 1 if row.type == "Crop" else None]]
    first = known[0]
    if first is None:
        return None
    stride, field = first
    if row.type in _MOVING:
        return (stride if stride and _stays(row, layer, bottoms[0]) else None), field
    if stride is None:  # of such values only those alone or side by side have a field
        alone = row.type == "Concat" or (len(known) == 1 and row.type in _ALONE)
        others = [place for place in known if place is not None]
        if not alone or len(others) < len(known) or any(place[0] for place in others):
            return None
        return None, _largest(others)
    if len(bottoms[0]) != 4:
        return None
    if row.type in _RESIZING:
        if any(place is None or place[0] != stride for place in known):
            return None  # a mask of another size
        field = _largest([place for place in known if place is not None])
        return _resized(row, layer, bottoms[0][2:], stride, field)
    if row.type in _WINDOWS:
        steps, seen = [], []
        for axis in range(2):
            window = _window(row.type, layer, axis)
            if window is None:
                return None
            scale, neighbours = window
            steps.append(stride[axis] / scale)
            seen.append(field[axis] + (neighbours - 1) * stride[axis])
        return (steps[0], steps[1]), (seen[0], seen[1])
    if row.type == "InnerProduct":
        height, width = bottoms[0][2:]
        return stride, (field[0] + (height - 1) * stride[0], field[1] + (width - 1) * stride[1])
    if row.type not in _IN_PLACE and row.type not in coord_map.PASS_THROUGH_LAYERS:
        return None
    if row.type == "MVN":  # its pixels stay in place, and each depends on the whole image
        return None
    others = [place for place in known if place is not None]
    if len(others) < len(known) or any(place[0] != stride for place in others):
        return None
    return stride, _largest(others)


#: Layers of one bottom whose every value depends on one value of it.
_ALONE = {"AbsVal", "Clip", "Dropout", "ELU", "HSigmoid", "HSwish", "HardSigmoid", "HardSwish"} | {
    *("Mish", "Power", "ReLU", "ReLU6", "Sigmoid", "Split", "Swish", "TanH", "Threshold")
}


def _largest(places: Sequence[Place]) -> Pair:
    fields = [field for _, field in places]
    return max(field[0] for field in fields), max(field[1] for field in fields)


def _resized(
    row: Facts, layer: Any, sizes: Sequence[int], stride: Pair, field: Pair
) -> Place | None:
    # Interp keeps the corners' pixels, so steps between pixels are what is scaled.
    corners = row.type == "Interp"
    cut = layer.first + layer.cut if corners else 0
    new = row.shapes[0][2:] if row.shapes else ()
    steps, seen = [], []
    for axis, (before, after) in enumerate(zip(sizes, new)):
        share = Fraction(before - cut - corners, max(1, after - corners))
        if not share:
            return None  # one pixel alone
        steps.append(stride[axis] * share)
        more = (_RESIZING[row.type] - 1) * stride[axis] if share != 1 else Fraction(0)
        seen.append(field[axis] + more)
    return (steps[0], steps[1]), (seen[0], seen[1])


def _stays(row: Facts, layer: Any, bottom: tuple[int, ...]) -> bool:
    """Whether rows and columns are the third and fourth axis still."""
    if row.type == "Permute":
        return list(layer.order[2:4]) == [2, 3]
    return row.shapes is not None and row.shapes[0] == bottom


def _window(kind: str, layer: Any, axis: int) -> tuple[Fraction, int] | None:
    """The scale of the map to the top, and how many values of the bottom one of the top sees."""
    # Pooling shortens a stride that leads out of the image.
    steps = getattr(layer, "given_stride", layer.stride)
    if not len(layer.kernel) == len(steps) == len(layer.pad) == 2:
        return None
    dilation = getattr(layer, "dilation", [1, 1])[axis]
    extent, step = (layer.kernel[axis] - 1) * dilation + 1, Fraction(steps[axis])
    scale, _ = coord_map.window_map(kind, step, extent, layer.pad[axis])
    return scale, -int(-extent // step) if kind == "Deconvolution" else extent
