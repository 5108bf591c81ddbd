"""A net's description as a list of operations on the two image axes.

Four kinds are enough for fully convolutional nets: a window that slides (convolution, pooling), its
transpose (deconvolution), a crop, and what works on each position by itself.  Anything else, an
inner product for one, has no place for every pixel and is refused.
"""

from typing import NamedTuple, Optional

__all__ = ["InferenceError", "Op", "read_ops"]


class InferenceError(RuntimeError):
    """Something that is missing or does not fit; the message says what to do."""


#: Layers whose top at a position depends on the bottoms at that position alone.
POINTWISE = {
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Concat",
    "Dropout",
    "ELU",
    "Eltwise",
    "Exp",
    "Log",
    "PReLU",
    "Power",
    "ReLU",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Split",
    "Swish",
    "TanH",
}

#: What a layer keeps of a forward pass, in floats per value of its top: in this engine and in BVLC
#: Caffe.  Pooling keeps where each maximum was; Scale its bottom, if it works in place.
KEPT = {"BatchNorm": (0, 2), "LRN": (1, 1), "Pooling": (2, 1), "Scale": (1, 1)}


class Op(NamedTuple):
    """One layer.  Pairs are of (height, width); ``channels`` is None where they stay the same.

    ``kernel`` counts the dilation in.  ``columns`` is the number of values that BVLC Caffe unrolls
    for each position of the top ("window") or bottom ("upsample"), 0 where it does without;
    ``kept`` is as in KEPT.
    """

    layer: str
    kind: str  # input, window, upsample, crop or pointwise
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    channels: Optional[int] = None
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    offset: tuple[int, int] = (0, 0)
    ceil: bool = False
    columns: int = 0
    kept: tuple[int, int] = (0, 0)


def read_ops(net) -> list[Op]:
    """The operations of a deploy net, a NetParameter message, in order.

    Raises InferenceError for a layer whose tops are no feature maps.
    """
    ops = []
    for layer in net.layer:
        read = _read_inputs(layer) if layer.type == "Input" else [_read(layer)]
        ops += [op._replace(kept=_kept(layer)) for op in read]
    return ops


def _read_inputs(layer) -> list[Op]:
    """One operation for each top: they may differ in their channels."""
    shapes = list(layer.input_param.shape) * (
        1 if len(layer.input_param.shape) > 1 else len(layer.top)
    )
    return [
        _op((layer.name, (), (top,)), "input", channels=int(shape.dim[1]))
        for top, shape in zip(layer.top, shapes)
    ]


def _kept(layer) -> tuple[int, int]:
    if layer.type == "Scale" and layer.bottom[0] != layer.top[0]:
        return 0, 0
    return KEPT.get(layer.type, (0, 0))


def _read(layer) -> Op:
    names = (layer.name, tuple(layer.bottom), tuple(layer.top))
    kind = layer.type
    if kind in ("Convolution", "Deconvolution"):
        return _convolution(names, kind, layer.convolution_param)
    if kind == "Pooling" and not layer.pooling_param.global_pooling:
        return _pooling(names, layer.pooling_param)
    if kind == "Crop":
        return _crop(names, layer.crop_param)
    if kind == "LRN":
        lrn = layer.lrn_param
        # Region 0 is across channels: pointwise on the image axes.
        size = lrn.local_size if lrn.norm_region else 1
        return _op(names, "window", kernel=(size, size), pad=((size - 1) // 2,) * 2)
    if kind in POINTWISE:
        return _op(names, "concat" if kind == "Concat" else "pointwise")
    raise InferenceError(
        f"layer '{layer.name}' of type {kind} does not keep the image's axes, so memory and tiles "
        "cannot be computed for this net"
    )


def _op(names, kind, **fields) -> Op:
    return Op(names[0], kind, names[1], names[2], **fields)


def _pair(param, name: str, default: int) -> tuple[int, int]:
    """A (height, width) from ``name_h`` and ``name_w``, or from a repeated or plain ``name``."""
    height, width = name.replace("_size", "") + "_h", name.replace("_size", "") + "_w"
    if param.HasField(height) or param.HasField(width):
        return int(getattr(param, height)), int(getattr(param, width))
    value = getattr(param, name)
    if isinstance(value, int):
        return value, value
    values = [int(v) for v in value]
    return (values[0], values[-1]) if values else (default, default)


def _convolution(names, kind, param) -> Op:
    size = _pair(param, "kernel_size", 1)
    dilation = [int(v) for v in param.dilation] or [1]
    kernel = tuple(d * (k - 1) + 1 for d, k in zip((dilation[0], dilation[-1]), size))
    stride, pad = _pair(param, "stride", 1), _pair(param, "pad", 0)
    direct = size == (1, 1) and stride == (1, 1) and pad == (0, 0)
    return _op(
        names,
        "window" if kind == "Convolution" else "upsample",
        channels=int(param.num_output),
        kernel=kernel,
        stride=stride,
        pad=pad,
        columns=0 if direct else size[0] * size[1],
    )


def _pooling(names, param) -> Op:
    # round_mode came after BVLC Caffe 1.0: 0 rounds up, 1 down.
    return _op(
        names,
        "window",
        kernel=_pair(param, "kernel_size", 1),
        stride=_pair(param, "stride", 1),
        pad=_pair(param, "pad", 0),
        ceil=getattr(param, "round_mode", 0) == 0,
    )


def _crop(names, param) -> Op:
    axis = param.axis + 4 if param.axis < 0 else param.axis
    if axis < 2:
        raise InferenceError(f"layer '{names[0]}' crops axis {axis}; expected the image axes")
    offsets = [int(v) for v in param.offset] or [0]
    offset = (offsets[0], offsets[-1]) if axis == 2 else (None, offsets[-1])
    return _op(names, "crop", offset=offset)
