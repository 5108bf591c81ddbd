"""Activations and arithmetic, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Value
from caffe.export.table import refuse, writes

Values = Sequence[Value]


@writes("ReLU")
def relu(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    if layer.slope:
        return [g.node("LeakyRelu", x, alpha=float(layer.slope))]
    return [g.node("Relu", x)]


@writes("ReLU6")
def relu6(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    y = g.node("Clip", x, g.number(0), g.number(6))
    if not layer.slope:
        return [y]
    return [g.node("Add", y, _scaled(g, g.node("Min", x, g.number(0)), layer.slope))]


@writes("HardSigmoid", "HSigmoid")
def hard_sigmoid(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("HardSigmoid", bottoms[0].name, alpha=1 / 6, beta=0.5)]


@writes("HardSwish", "HSwish")
def hard_swish(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    return [g.node("Mul", x, g.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))]


@writes("Mish")
def mish(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    return [g.node("Mul", x, g.node("Tanh", g.node("Softplus", x)))]


@writes("PReLU")
def prelu(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0]
    shape = (1,) if layer.shared else (-1, *[1] * (len(x.shape) - 2))
    return [g.node("PRelu", x.name, g.weight(layer.blobs[0], "slope", _filled(layer, shape)))]


def _filled(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with the number of slopes in the place of -1."""
    return tuple(layer.blobs[0].count if n == -1 else n for n in shape)


@writes("ELU")
def elu(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Elu", bottoms[0].name, alpha=float(layer.alpha))]


@writes("Sigmoid")
def sigmoid(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Sigmoid", bottoms[0].name)]


@writes("TanH")
def tanh(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Tanh", bottoms[0].name)]


@writes("Swish")
def swish(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    gate = g.node("Sigmoid", _scaled(g, x, layer.beta))
    return [g.node("Mul", x, gate)]


@writes("BNLL")
def bnll(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Softplus", bottoms[0].name)]


@writes("AbsVal")
def absolute(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Abs", bottoms[0].name)]


@writes("Clip")
def clip(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x, low, high = bottoms[0].name, g.number(layer.low), g.number(layer.high)
    if layer.low <= layer.high:
        return [g.node("Clip", x, low, high)]
    return [g.node("Max", g.node("Min", x, high), low)]  # everything is `low`


@writes("Threshold")
def threshold(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.as_float(g.node("Greater", bottoms[0].name, g.number(layer.threshold)))]


@writes("Power")
def power(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0].name
    if layer.slope == 0:
        with np.errstate(all="ignore"):
            value = float(np.float32(layer.shift) ** np.float32(layer.power))
        return [g.node("Expand", g.number(value), g.node("Shape", x))]
    y = _shifted(g, x, layer)
    return [g.node("Pow", y, g.number(layer.power)) if layer.power != 1 else y]


@writes("Exp")
def exponential(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    y = g.node("Exp", _scaled(g, bottoms[0].name, layer.inner))
    return [_scaled(g, y, layer.outer)]


@writes("Log")
def logarithm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    y = g.node("Log", _shifted(g, bottoms[0].name, layer))
    if layer.log_base != 1:
        y = g.node("Div", y, g.number(layer.log_base))
    return [y]


def _scaled(g: Graph, x: str, factor: float) -> str:
    return g.node("Mul", x, g.number(factor)) if factor != 1 else x


def _shifted(g: Graph, x: str, layer: Any) -> str:
    """``shift + scale x``."""
    y = _scaled(g, x, layer.scale)
    return g.node("Add", y, g.number(layer.shift)) if layer.shift else y


@writes("Dropout", "SpatialDropout")
def dropout(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    if layer._drops:
        raise refuse(layer, "sample_weights_test draws random numbers in every pass")
    return [_scaled(g, bottoms[0].name, layer._scale)]


@writes("Eltwise")
def eltwise(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    names = [value.name for value in bottoms]
    if layer.operation == layer.PROD:
        return [_chain(g, "Mul", names)]
    if layer.operation != layer.SUM:
        if layer.in_place:  # Caffe clears the top first, which is bottom 0
            lowest = g.number(float(np.finfo(np.float32).min))
            return [g.node("Max", lowest, *names[1:])]
        return [g.node("Max", *names)]
    terms = [_scaled(g, name, factor) for name, factor in zip(names, layer.coeff)]
    if layer.in_place:
        terms = terms[1:]
    return [_chain(g, "Add", terms)]


def _chain(g: Graph, op: str, names: Sequence[str]) -> str:
    result = names[0]
    for name in names[1:]:
        result = g.node(op, result, name)
    return result


@writes("Axpy")
def axpy(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``a x + y``, a factor for each item and channel."""
    factors, x, y = bottoms
    name = factors.name
    if len(factors.shape) != len(x.shape):
        name = g.node("Reshape", name, g.ints([0, 0, *[1] * (len(x.shape) - 2)]))
    return [g.node("Add", g.node("Mul", name, x.name), y.name)]


@writes("Scale")
def scale(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    y = g.node("Mul", bottoms[0].name, _operand(g, layer, bottoms, "scale"))
    if layer.has_bias:
        y = g.node("Add", y, g.weight(layer.blobs[-1], "bias", _spread(layer, bottoms[0])))
    return [y]


@writes("Bias")
def bias(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Add", bottoms[0].name, _operand(g, layer, bottoms, "bias"))]


def _spread(layer: Any, x: Value) -> tuple[int, ...]:
    """The shape in which a learned operand broadcasts against ``x``, trailing ones added."""
    operand = layer.geometry.operand
    return (*operand, *[1] * (len(x.shape) - _first(layer, x) - len(operand)))


def _first(layer: Any, x: Value) -> int:
    """The axis of ``x`` that is the operand's first."""
    settings = layer.param.scale_param if layer.type == "Scale" else layer.param.bias_param
    return settings.axis % len(x.shape) if layer.geometry.operand else 0


def _operand(g: Graph, layer: Any, bottoms: Values, what: str) -> str:
    x = bottoms[0]
    if layer.learned:
        return g.weight(layer.blobs[0], what, _spread(layer, x))
    operand = bottoms[1]
    missing = len(x.shape) - _first(layer, x) - len(operand.shape)
    if not missing:
        return operand.name
    axes = [len(operand.shape) + i for i in range(missing)]
    return g.node("Unsqueeze", operand.name, g.ints(axes))
