"""A net's layers as operations on the two image axes, and the one rule of what each does to them.

Four kinds are enough for fully convolutional nets: a window that slides (convolution, pooling), its
transpose (deconvolution), a crop, and what works on each position by itself.  Anything else, an
inner product for one, has no place for every pixel and is refused.
"""

from fractions import Fraction
from math import floor
from typing import Any, NamedTuple, Optional

__all__ = ["POINTWISE", "InferenceError", "Op", "Window", "read_ops", "windows_of"]


class InferenceError(RuntimeError):
    """Something that is missing or does not fit; the message says what to do."""


#: Layers whose top at a position depends on the bottoms at that position alone.
POINTWISE = {
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Clip",
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
    "Threshold",
}

#: What a layer keeps of a forward pass, in floats per value of its top: in this engine and in BVLC
#: Caffe.  Pooling keeps where each maximum was; Scale its bottom, if it works in place.
KEPT = {"BatchNorm": (0, 2), "LRN": (1, 1), "Pooling": (2, 1), "Scale": (1, 1)}


class Window(NamedTuple):
    """What a layer does along one axis: a window that slides or, with ``up``, the transpose.

    ``kernel`` counts the dilation in.  ``rounding`` is that of the number of steps: "zero" as
    Caffe's convolution, "up" as its pooling, "down" as pooling with round_mode FLOOR.
    """

    kernel: int = 1
    stride: int = 1
    pad: int = 0
    up: bool = False
    rounding: str = "zero"

    def size(self, length: int) -> int:
        """The top's length for a bottom's; below 1 where the bottom is too small."""
        kernel, stride, pad = self.kernel, self.stride, self.pad
        if self.up:
            return stride * (length - 1) + kernel - 2 * pad
        room = length + 2 * pad - kernel
        if self.rounding == "zero":
            return int(Fraction(room, stride)) + 1
        count = (-(-room // stride) if self.rounding == "up" else room // stride) + 1
        # Caffe clips a last window that would begin in the padding.
        return count - 1 if pad and (count - 1) * stride >= length + pad else count

    def reach(self) -> tuple[Fraction, Fraction, Fraction]:
        """(step, low, high): the top's position ``i`` depends on the bottom's positions from
        ``step·i + low`` to ``step·i + high``, bounds that hold for every ``i``."""
        kernel, stride, pad = self.kernel, self.stride, self.pad
        if self.up:
            # Position y gets i where stride·i - pad <= y <= stride·i - pad + kernel - 1.
            return Fraction(1, stride), Fraction(pad - kernel + 1, stride), Fraction(pad, stride)
        return Fraction(stride), Fraction(-pad), Fraction(kernel - 1 - pad)

    def place(self, scale: Fraction, shift: Fraction) -> tuple[Fraction, Fraction]:
        """The top's map x_blob = scale·x_data + shift of a bottom's, as `caffe.coord_map` has it:
        a position lies in the middle of what it depends on."""
        step, low, high = self.reach()
        return scale / step, (shift - (low + high) / 2) / step

    def neighbours(self) -> int:
        """How many positions of the bottom, at most, one of the top depends on."""
        _, low, high = self.reach()
        return floor(high - low) + 1


class Op(NamedTuple):
    """One layer.  Pairs are of (height, width); ``channels`` is None where they stay the same.

    ``columns`` is the number of values that BVLC Caffe unrolls for each position of the top
    ("window") or bottom ("upsample"), 0 where it does without; ``kept`` is as in KEPT.
    """

    layer: str
    kind: str  # input, window, upsample, crop, concat or pointwise
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    channels: Optional[int] = None
    windows: tuple[Window, Window] = (Window(), Window())
    offset: tuple[Optional[int], int] = (0, 0)
    columns: int = 0
    kept: tuple[int, int] = (0, 0)


def read_ops(net: Any) -> list[Op]:
    """The operations of a deploy net, a NetParameter message, in order.

    Raises InferenceError for a layer whose tops are no feature maps.
    """
    ops = []
    for layer in net.layer:
        read = _read_inputs(layer) if layer.type == "Input" else [_read(layer)]
        ops += [op._replace(kept=_kept(layer)) for op in read]
    return ops


def _read_inputs(layer: Any) -> list[Op]:
    """One operation for each top: they may differ in their channels."""
    shapes = list(layer.input_param.shape) * (
        1 if len(layer.input_param.shape) > 1 else len(layer.top)
    )
    return [
        Op(layer.name, "input", (), (top,), channels=int(shape.dim[1]))
        for top, shape in zip(layer.top, shapes)
    ]


def _kept(layer: Any) -> tuple[int, int]:
    if layer.type == "Scale" and layer.bottom[0] != layer.top[0]:
        return 0, 0
    return KEPT.get(layer.type, (0, 0))


def _read(layer: Any) -> Op:
    op = Op(layer.name, "pointwise", tuple(layer.bottom), tuple(layer.top))
    kind = layer.type
    if kind in ("Convolution", "Deconvolution"):
        return _convolution(op, layer)
    if kind == "Pooling" and not layer.pooling_param.global_pooling:
        return op._replace(kind="window", windows=windows_of(layer))
    if kind == "Crop":
        return _crop(op, layer.crop_param)
    if kind == "LRN":
        lrn = layer.lrn_param
        # Region 0 is across channels: pointwise on the image axes.
        size = lrn.local_size if lrn.norm_region else 1
        return op._replace(kind="window", windows=(Window(size, 1, (size - 1) // 2),) * 2)
    if kind in POINTWISE:
        return op._replace(kind="concat") if kind == "Concat" else op
    raise InferenceError(
        f"layer '{layer.name}' of type {kind} does not keep the image's axes, so memory and tiles "
        "cannot be computed for this net"
    )


def windows_of(layer: Any) -> tuple[Window, Window]:
    """The Windows of a Convolution, Deconvolution or Pooling layer, of (height, width)."""
    pooling = layer.type == "Pooling"
    param = layer.pooling_param if pooling else layer.convolution_param
    dilation = [1] if pooling else [int(v) for v in param.dilation] or [1]
    sizes, strides = _pair(param, "kernel_size", 1), _pair(param, "stride", 1)
    pads = _pair(param, "pad", 0)
    # round_mode came after BVLC Caffe 1.0: 0 rounds up, 1 down.
    rounding = ("down" if getattr(param, "round_mode", 0) else "up") if pooling else "zero"
    height, width = (
        Window(d * (size - 1) + 1, stride, pad, layer.type == "Deconvolution", rounding)
        for d, size, stride, pad in zip((dilation[0], dilation[-1]), sizes, strides, pads)
    )
    return height, width


def _pair(param: Any, name: str, default: int) -> tuple[int, int]:
    """A (height, width) from ``name_h`` and ``name_w``, or from a repeated or plain ``name``."""
    height, width = name.replace("_size", "") + "_h", name.replace("_size", "") + "_w"
    if param.HasField(height) or param.HasField(width):
        return int(getattr(param, height)), int(getattr(param, width))
    value = getattr(param, name)
    if isinstance(value, int):
        return value, value
    values = [int(v) for v in value]
    return (values[0], values[-1]) if values else (default, default)


def _convolution(op: Op, layer: Any) -> Op:
    param, windows = layer.convolution_param, windows_of(layer)
    size = _pair(param, "kernel_size", 1)
    direct = size == (1, 1) and all(w.stride == 1 and w.pad == 0 for w in windows)
    return op._replace(
        kind="window" if layer.type == "Convolution" else "upsample",
        channels=int(param.num_output),
        windows=windows,
        columns=0 if direct else size[0] * size[1],
    )


def _crop(op: Op, param: Any) -> Op:
    axis = param.axis + 4 if param.axis < 0 else param.axis
    if axis < 2:
        raise InferenceError(f"layer '{op.layer}' crops axis {axis}; expected the image axes")
    offsets = [int(v) for v in param.offset] or [0]
    return op._replace(kind="crop", offset=(offsets[0] if axis == 2 else None, offsets[-1]))
