"""What a prototxt alone tells: shapes, where each pixel lies, receptive fields, parameters, work.

Nothing is built and no memory allocated. For each blob the walk keeps

    shape   N, C, H, W
    scale   a and b of x_blob = a·x_data + b along each spatial axis, x_data in pixels of the input
    shift
    field   receptive field: the pixels of the input, along an axis, that one value depends on

by the rules that `caffe.coord_map` uses too: a convolution or pooling of kernel k, stride s and
pad p makes (a/s, (b + p − (k−1)/2)/s) of (a, b) and adds (k−1)/a to the field; a deconvolution
makes (a·s, b·s + (k−1)/2 − p); Crop and everything that reads several blobs take over the map of
the blob they align with.
"""

from collections import OrderedDict, namedtuple
from fractions import Fraction
from math import ceil

Blob = namedtuple("Blob", "shape scale shift field")

#: One layer: params: numbers in its parameter blobs; learned: those with lr_mult ≠ 0; macs:
#: multiply-adds of one forward pass; note: why a Crop has its offset, else "".
Row = namedtuple("Row", "name type bottoms tops blob params learned macs in_place note")

#: Layers whose tops have the shape and place of their first bottom.
SAME_SHAPE = {
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Clip",
    "Dropout",
    "Eltwise",
    "ELU",
    "Exp",
    "Log",
    "LRN",
    "MVN",
    "Power",
    "PReLU",
    "ReLU",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Swish",
    "TanH",
    "Threshold",
}


class GeometryError(ValueError):
    """The net holds something whose geometry is not known here; the message names the layer."""


def walk(net, sizes=None):
    """Rows of all layers of a NetParameter (a deploy net), in order.

    sizes: {input blob: shape} in place of the shapes that the net's Input layers give.
    """
    blobs, rows = OrderedDict(), []
    for layer in net.layer:
        if layer.type == "Input":
            found, params, macs, note = _input(layer, sizes or {}), [], 0, ""
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


def _input(layer, sizes):
    shapes = [list(shape.dim) for shape in layer.input_param.shape]
    shapes *= len(layer.top) if len(shapes) == 1 else 1
    return [
        Blob(list(sizes.get(name, shape)), Fraction(1), Fraction(0), Fraction(1))
        for name, shape in zip(layer.top, shapes)
    ]


def _one(layer, values, default, name):
    """The one value of a repeated field that may hold one per axis."""
    if len(set(values)) > 1:
        raise GeometryError(f"layer '{layer.name}': {name} differs between the axes")
    return values[0] if values else default


def _window(layer, p):
    for field in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w"):
        if p.HasField(field) and getattr(p, field) != getattr(p, field[:-1] + "w"):
            raise GeometryError(f"layer '{layer.name}': {field} and its twin differ")
    repeated = layer.type != "Pooling"
    values = []
    for plain, short, default in (
        ("kernel_size", "kernel_h", None),
        ("stride", "stride_h", 1),
        ("pad", "pad_h", 0),
    ):
        given = getattr(p, plain)
        given = list(given) if repeated else [given] * p.HasField(plain)
        if p.HasField(short):
            given = [getattr(p, short)]
        values.append(_one(layer, given, default, plain))
    return values


def _slide(blob, kernel, stride, pad, size, channels):
    """The blob that a sliding window makes."""
    center = Fraction(kernel - 1, 2) - pad
    return Blob(
        [blob.shape[0], channels, *size],
        blob.scale / stride,
        (blob.shift - center) / stride,
        blob.field + (kernel - 1) / blob.scale,
    )


def _convolution(layer, bottoms):
    p, x = layer.convolution_param, bottoms[0]
    kernel, stride, pad = _window(layer, p)
    dilation = _one(layer, list(p.dilation), 1, "dilation")
    extent = (kernel - 1) * dilation + 1
    size = [int((n + 2 * pad - extent) / stride) + 1 for n in x.shape[2:]]
    per_output = x.shape[1] // p.group * kernel * kernel
    params = [p.num_output * per_output] + [p.num_output] * p.bias_term
    top = _slide(x, extent, stride, pad, size, p.num_output)
    return top, params, _count(top.shape) * per_output, ""


def _deconvolution(layer, bottoms):
    p, x = layer.convolution_param, bottoms[0]
    kernel, stride, pad = _window(layer, p)
    size = [stride * (n - 1) + kernel - 2 * pad for n in x.shape[2:]]
    per_input = p.num_output // p.group * kernel * kernel
    params = [x.shape[1] * per_input] + [p.num_output] * p.bias_term
    # ceil(k/s) neighbours of the coarser blob reach one value.
    top = Blob(
        [x.shape[0], p.num_output, *size],
        x.scale * stride,
        x.shift * stride + Fraction(kernel - 1, 2) - pad,
        x.field + (ceil(Fraction(kernel, stride)) - 1) / x.scale,
    )
    return top, params, _count(x.shape) * per_input, ""


def _pooling(layer, bottoms):
    p, x = layer.pooling_param, bottoms[0]
    if p.global_pooling:
        kernel, stride, pad = max(x.shape[2:]), 1, 0
        size = [1, 1]
    else:
        kernel, stride, pad = _window(layer, p)
        down = p.round_mode == p.FLOOR if hasattr(p, "FLOOR") else False
        size = []
        for n in x.shape[2:]:
            room = n + 2 * pad - kernel
            out = (room // stride if down else -(-room // stride)) + 1
            if pad and (out - 1) * stride >= n + pad:
                out -= 1  # the last window would begin in the padding
            size.append(out)
    top = _slide(x, kernel, stride, pad, size, x.shape[1])
    return top, [], 0, ""


def _inner_product(layer, bottoms):
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


def _crop(layer, bottoms):
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


def place(blob):
    """Where a value lies, as text: "x/16 + 5.875"."""
    scale = blob.scale
    over = "" if scale == 1 else f"/{1 / scale}" if scale < 1 else f"·{scale}"
    shift = float(blob.shift)
    return f"x{over}" + (f" {'+' if shift > 0 else '−'} {abs(shift):g}" if shift else "")


def _concat(layer, bottoms):
    axis = layer.concat_param.axis
    shape = list(bottoms[0].shape)
    shape[axis] = sum(blob.shape[axis] for blob in bottoms)
    return _widest(bottoms)._replace(shape=shape), [], 0, ""


def _widest(bottoms):
    """The first bottom, seeing as much as the one that sees most."""
    return bottoms[0]._replace(field=max(blob.field for blob in bottoms))


def _same(layer, bottoms):
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


def _count(shape):
    product = 1
    for n in shape:
        product *= n
    return product


_HANDLERS = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
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


def facts(net, sizes=None):
    """The Facts of a deploy NetParameter.

    inference counts the weights and every blob once. training counts weights, gradients, momentum
    and each blob's data and gradient. A layer in place needs no blob of its own.
    """
    rows = walk(net, sizes)
    total, frozen = sum(row.params for row in rows), 0
    coarsest = max((row.blob for row in rows), key=lambda blob: (1 / blob.scale, blob.field))
    for row in rows:
        frozen += row.params - row.learned
    upsampled = next((i for i, row in enumerate(rows) if row.type == "Deconvolution"), len(rows))
    before = [row.blob.field for row in rows[:upsampled] if row.blob.scale == coarsest.scale]
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
