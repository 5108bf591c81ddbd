"""What a prototxt alone tells: shapes, where each pixel lies, receptive fields, parameters, work.

Nothing is built and no memory allocated. For each blob the walk keeps

    shape   N, C, H, W
    scale   a and b of x_blob = a·x_data + b along each spatial axis, x_data in pixels of the input
    shift
    field   receptive field: the pixels of the input, along an axis, that one value depends on

by the rules of `fcn.geometry.ops.Window`, which are those of `caffe.coord_map`: a convolution or
pooling of kernel k, stride s and pad p makes (a/s, (b + p − (k−1)/2)/s) of (a, b) and adds (k−1)/a
to the field; a deconvolution makes (a·s, b·s + (k−1)/2 − p); Crop and everything that reads several
blobs take over the map of the blob they align with.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fcn.geometry.ops import POINTWISE, Window, windows_of

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

Blob = namedtuple("Blob", "shape scale shift field")

#: One layer: params: numbers in its parameter blobs; learned: those with lr_mult ≠ 0; macs:
#: multiply-adds of one forward pass; note: why a Crop has its offset, else "".
Row = namedtuple("Row", "name type bottoms tops blob params learned macs in_place note")

#: Layers whose tops have the shape and place of their first bottom.
SAME_SHAPE = POINTWISE - {"Concat"} | {"LRN", "MVN"}


#: Of one layer: its top, the numbers in each of its parameters, its multiply-adds, the note.
_Found = tuple[Blob, list[int], int, str]


class GeometryError(ValueError):
    """The net holds something whose geometry is not known here; the message names the layer."""


def walk(net: caffe_pb2.NetParameter, sizes: dict[str, Sequence[int]] | None = None) -> list[Row]:
    """Rows of all layers of a NetParameter (a deploy net), in order.

    sizes: {input blob: shape} in place of the shapes that the net's Input layers give.
    """
    blobs: dict[str, Blob] = {}
    rows = []
    for layer in net.layer:
        params: list[int] = []
        macs, note = 0, ""
        if layer.type == "Input":
            found = _input(layer, sizes or {})
        else:
            handler = _HANDLERS.get(layer.type, _same if layer.type in SAME_SHAPE else None)
            if handler is None:
                raise GeometryError(
                    f"layer '{layer.name}' has type {layer.type}, whose geometry "
                    "fcn/geometry/facts.py does not know; give it a function in _HANDLERS"
                )
            top, params, macs, note = handler(layer, [blobs[name] for name in layer.bottom])
            found = [top] * len(layer.top)
        rates = [p.lr_mult for p in layer.param]
        learned = sum(
            count
            for i, count in enumerate(params)
            if (rates[i] if i < len(rates) else 1) != 0 and layer.type != "BatchNorm"
        )
        for name, blob in zip(layer.top, found):
            blobs[name] = blob
        rows.append(
            Row(
                layer.name,
                layer.type,
                list(layer.bottom),
                list(layer.top),
                found[0],
                sum(params),
                learned,
                macs,
                set(layer.top) <= set(layer.bottom),
                note,
            )
        )
    return rows


def _input(layer: caffe_pb2.LayerParameter, sizes: dict[str, Sequence[int]]) -> list[Blob]:
    shapes = [list(shape.dim) for shape in layer.input_param.shape]
    shapes *= len(layer.top) if len(shapes) == 1 else 1
    return [
        Blob(list(sizes.get(name, shape)), Fraction(1), Fraction(0), Fraction(1))
        for name, shape in zip(layer.top, shapes)
    ]


def _one(layer: caffe_pb2.LayerParameter, values: Sequence[int], default: int, name: str) -> int:
    """The one value of a repeated field that may hold one per axis."""
    if len(set(values)) > 1:
        raise GeometryError(f"layer '{layer.name}': {name} differs between the axes")
    return values[0] if values else default


def _window(layer: caffe_pb2.LayerParameter) -> Window:
    """The Window of both axes."""
    height, width = windows_of(layer)
    for field, one, other in zip(height._fields, height, width):
        if one != other:
            raise GeometryError(f"layer '{layer.name}': {field} differs between the axes")
    return height


def _slide(blob: Blob, window: Window, channels: int, size: list[int] | None = None) -> Blob:
    """The blob that a Window makes. size: instead of what the rule gives."""
    scale, shift = window.place(blob.scale, blob.shift)
    return Blob(
        [blob.shape[0], channels] + (size or [window.size(n) for n in blob.shape[2:]]),
        scale,
        shift,
        blob.field + (window.neighbours() - 1) / blob.scale,
    )


def _convolution(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    p, x = layer.convolution_param, bottoms[0]
    window = _window(layer)
    dilation = _one(layer, list(p.dilation), 1, "dilation")
    size = (window.kernel - 1) // dilation + 1
    top = _slide(x, window, p.num_output)
    # The weights that one value of the many meets: of a top for a window, of a bottom upwards.
    many, few = (x, p.num_output) if window.up else (top, x.shape[1])
    each = few // p.group * size * size
    params = [many.shape[1] * each] + [p.num_output] * p.bias_term
    return top, params, _count(many.shape) * each, ""


def _pooling(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    x = bottoms[0]
    if layer.pooling_param.global_pooling:
        top = _slide(x, Window(max(x.shape[2:])), x.shape[1], [1, 1])
    else:
        top = _slide(x, _window(layer), x.shape[1])
    return top, [], 0, ""


def _inner_product(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    p, x = layer.inner_product_param, bottoms[0]
    inner = _count(x.shape[1:])
    params = [p.num_output * inner] + [p.num_output] * p.bias_term
    top = Blob(
        [x.shape[0], p.num_output],
        x.scale,
        x.shift,
        x.field + (max(x.shape[2:], default=1) - 1) / x.scale,
    )
    return top, params, x.shape[0] * p.num_output * inner, ""


def _crop(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    x, like = bottoms
    axis = layer.crop_param.axis
    shape = x.shape[:axis] + like.shape[axis:]
    offset = _one(layer, list(layer.crop_param.offset), 0, "offset")
    found, wanted = f"{layer.bottom[0]} at {place(x)}", f"{layer.bottom[1]} at {place(like)}"
    exact = x.scale == like.scale and x.shift - like.shift == offset
    note = f"offset {offset}: {found}, {wanted}"
    if not exact:
        note += f"; aligned would be {float(x.shift - like.shift):g}"
    # What is cropped away moves the origin.
    top = Blob(shape, x.scale, x.shift - offset, x.field)
    return top, [], 0, note


def place(blob: Blob) -> str:
    """Where a value lies, as text: "x/16 + 5.875"."""
    scale = blob.scale
    over = "" if scale == 1 else f"/{1 / scale}" if scale < 1 else f"·{scale}"
    shift = float(blob.shift)
    return f"x{over}" + (f" {'+' if shift > 0 else '−'} {abs(shift):g}" if shift else "")


def _concat(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    axis = layer.concat_param.axis
    shape = list(bottoms[0].shape)
    shape[axis] = sum(blob.shape[axis] for blob in bottoms)
    return _widest(bottoms)._replace(shape=shape), [], 0, ""


def _widest(bottoms: list[Blob]) -> Blob:
    """The first bottom, seeing as much as the one that sees most."""
    return bottoms[0]._replace(field=max(blob.field for blob in bottoms))


def _same(layer: caffe_pb2.LayerParameter, bottoms: list[Blob]) -> _Found:
    top, params = _widest(bottoms), []
    channels = top.shape[1]
    if layer.type == "BatchNorm":
        params = [channels, channels, 1]
    elif layer.type == "Scale" and len(layer.bottom) == 1:
        params = [channels] * (2 if layer.scale_param.bias_term else 1)
    elif layer.type == "Bias" and len(layer.bottom) == 1:
        params = [channels]
    elif layer.type == "PReLU":
        params = [1 if layer.prelu_param.channel_shared else channels]
    return top, params, 0, ""


def _count(shape: Sequence[int]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


_HANDLERS = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "Crop": _crop,
    "Concat": _concat,
}

#: Of a whole net. parameters: without upsampling and BatchNorm's statistics, as the papers count;
#: frozen: those that never learn, upsampling and statistics included; field, stride: of the
#: coarsest scores; macs: of one forward pass; inference, training: bytes of weights and blobs,
#: without scratch memory.
Facts = namedtuple("Facts", "parameters frozen field stride macs inference training")


def facts(net: caffe_pb2.NetParameter, sizes: dict[str, Sequence[int]] | None = None) -> Facts:
    """The Facts of a deploy NetParameter.

    inference counts the weights and every blob once. training counts weights, gradients, momentum
    and each blob's data and gradient. A layer in place needs no blob of its own.
    """
    rows = walk(net, sizes)
    total, frozen = sum(row.params for row in rows), 0
    coarsest = max((row.blob for row in rows), key=lambda blob: (1 / blob.scale, blob.field))
    for row in rows:
        frozen += row.params - row.learned
    # Before scores are upsampled; an image may be, before the trunk sees it.
    before: list[float] = []
    for row in rows:
        if before and row.type == "Deconvolution":
            break
        if row.blob.scale == coarsest.scale:
            before.append(row.blob.field)
    blobs = sum(_count(row.blob.shape) for row in rows if not row.in_place)
    return Facts(
        parameters=total
        - sum(
            row.params
            for row in rows
            if row.type == "BatchNorm" or row.type == "Deconvolution" and "up" in row.name
        ),
        frozen=frozen,
        field=int(max(before)),
        stride=int(1 / coarsest.scale),
        macs=sum(row.macs for row in rows),
        inference=4 * (total + blobs),
        training=4 * (3 * total + 2 * blobs),
    )
