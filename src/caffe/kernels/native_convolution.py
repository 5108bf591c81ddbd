"""The way of training on the native kernels: those parts of a convolution's forward and backward
pass that they compute faster than those of kernels/ways.

Each part is chosen by the time that it takes, as measured on the processors that have the kernels.
Results equal the other ways' to float32 rounding, and do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from caffe import kernels, native
from caffe.kernels import winograd
from caffe.native import depthwise, few_channels, learning, weight_gradient
from caffe.native.calls import floats
from caffe.native.kept import MOST_ROWS, Kept

if TYPE_CHECKING:
    from caffe.kernels.ways import Call, Geometry, Grads, Mask

__all__ = ["backward", "bottom_memory", "comes_first", "forward", "takes_backward"]


class _Times(NamedTuple):
    """What a convolution takes: nanoseconds of one thread.  Measured against PyTorch's operators in
    channels-last memory, which are oneDNN's."""

    least: int  # channels of a group, on either side
    inputs: int  # are multiplied in whole ...
    ours: float  # for each multiplication of the forward pass and the gradient of the input
    thousand_cycles: float  # that the gradient of the weights says it takes
    onednns: float  # for each multiplication
    onednns_products: float  # the same where the kernel is 1x1: these are products of matrices
    onednns_vector: int  # outputs that these multiply in whole ...
    onednns_pad: bool  # whether it multiplies what lies in the pad, too
    onednns_gradient: (
        float  # so many times that for the weights' gradient, unless the kernel is 1x1
    )
    weight: float  # for a weight that is laid out, where they are few
    weight_of_many: float
    onednns_weight: float  # unless the kernel is 1x1, where they are few
    onednns_weight_of_many: float
    call: float


_TIMES = {
    "amx": _Times(16, 32, 1 / 125, 400, 1 / 65, 1 / 65, 1, True, 1, 1.0, 1.9, 0.5, 0.5, 15_000),
    "avx512": _Times(8, 16, 1 / 50, 290, 1 / 50, 1 / 42, 16, False, 1, 0.2, 0.2, 0.3, 1.2, 0),
    # oneDNN's kernels for AVX2, measured on a processor that has AVX-512 as well.
    "avx2": _Times(8, 16, 1 / 45, 300, 1 / 50, 1 / 42, 16, True, 1.11, 0.2, 0.2, 0.3, 1.2, 0),
}
_FEW_WEIGHTS = 1 << 20
_LEAST_BLOCKS, _FEW_PAIRS = 20, 1 << 12  # of 4x2 outputs of all images; of channels
_TILE = 16  # channels
_LEAST_KEPT = 1 << 23  # weights; fewer are better packed (net/native_layers.py)
_MOST_SIZES = 8  # of images, for which a layer keeps what it has prepared
_LEAST_POSITIONS = 64  # fewer outputs take less time than laying out the weights
_MOST_TAPS = 64
_MOST_WEIGHTS = 1 << 22  # packed they stay: not FCN's fc6


def forward(call: Call, relu: bool = False, out: torch.Tensor | None = None) -> torch.Tensor | None:
    """The convolution, with a ReLU on request, in ``out`` where that is channels-last memory; None
    where another way is to compute it."""
    g, x = call.geometry, call.x
    if _own(g):
        return _own_forward(call, relu, out)
    found = _with_kept_weights(call, relu)
    if found is not None or not call.learns:
        return found
    if _few(g, x):
        y = _empty_last(g.top) if out is None or not _is_last(out) else out
        few_channels.convolve(x, call.weight, call.bias, y, g.stride, g.pad, relu)
        return y
    if not (_possible(g, x) and _is_last(x)):
        return None
    inputs, outputs = g.bottom[1] // g.group, g.top[1] // g.group
    by_winograd = _by_winograd(g)
    if not (by_winograd or _product_gains(g, inputs, outputs, _positions(g.top))):
        return None
    y = _empty_last(g.top) if out is None or not _is_last(out) else out
    settings = g.stride, g.pad, g.dilation, g.group
    learning.convolve(x, call.weight, call.bias, y, *settings, relu=relu, winograd=by_winograd)
    return y


def _with_kept_weights(call: Call, relu: bool) -> torch.Tensor | None:
    """The convolution where the weights are many (FCN's fc6 and fc7): they are read where they
    lie."""
    g, weight = call.geometry, call.weight
    positions = _positions(g.top)
    many = weight.numel() >= _LEAST_KEPT and _LEAST_POSITIONS <= positions <= MOST_ROWS
    runs = kernels.enabled() and native.available() and call.x.is_cpu
    if not (many and runs and g.plain and call.x.dtype == torch.float32):
        return None
    # While they learn they may move: nothing may hold on to them.
    known: dict[int, Kept] = {}
    if not call.learns:
        known = call.storage.cached("native, by positions", dict)
    run = known.get(positions)
    if run is None:
        if len(known) >= _MOST_SIZES:
            known.clear()
        run = known[positions] = Kept(positions, weight.flatten(1))
    n, o, h, w = g.top
    y = run(_rows(g, call.x))
    if call.bias is not None:
        y += call.bias
    if relu:
        y.relu_()
    return y.view(n, h, w, o).permute(0, 3, 1, 2)


def _rows(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """(N H' W', C kh kw): what each output is the product of."""
    if any(g.pad):
        x = F.pad(x, (g.pad[1], g.pad[1], g.pad[0], g.pad[0]))
    windows = x.unfold(2, g.kernel[0], g.stride[0]).unfold(3, g.kernel[1], g.stride[1])
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(_positions(g.top), -1)


def backward(call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
    """The gradients of x, weights and bias that ``mask`` asks for and that are computed here; None
    for those that another way is to compute."""
    g, x = call.geometry, call.x
    if _own(g):
        return _own_backward(call, dy, mask)
    if _few(g, x):
        if not mask[1]:
            return None, None, None
        dy = dy.contiguous(memory_format=torch.channels_last)
        return None, *few_channels.gradients(x, dy, call.weight.shape, g.stride, g.pad, mask[2])
    if not (_possible(g, x) and _possible(g, dy) and (_is_last(x) or _is_last(dy))):
        return None, None, None
    dx = dw = db = None
    if mask[0] and _input_gains(g):
        dx = bottom_memory(call)
        dy = dy.contiguous(memory_format=torch.channels_last)
        settings = g.pad, g.dilation, g.group
        learning.gradient_of_input(dy, call.weight, dx, *settings, winograd=_by_winograd(g))
    if mask[1] and _weights_gain(g):
        window = call.weight.shape, g.stride, g.pad, g.dilation, g.group
        dw, db = weight_gradient.of_weights(x, dy, *window, bias=mask[2])
    return dx, dw, db


def _own_forward(call: Call, relu: bool, out: torch.Tensor | None) -> torch.Tensor | None:
    """:func:`forward` where each channel has its own kernel."""
    g, x = call.geometry, call.x
    known = g.kernel[1] in (3, 5) and g.stride[1] in (1, 2) and list(g.dilation) == [1, 1]
    if not (known and _runs(g, x) and _is_last(x)):
        return None
    y = _empty_last(g.top) if out is None or not _is_last(out) else out
    depthwise.convolve(x, call.weight, call.bias, y, g.stride, g.pad, g.dilation, relu)
    return y


def _own_backward(call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
    """:func:`backward` where each channel has its own kernel; the bias' is left to others."""
    g, x = call.geometry, call.x
    known = any(mask[:2]) and depthwise.has_gradients(g.kernel, g.stride, g.pad, g.dilation)
    if not (known and _runs(g, x) and _runs(g, dy) and (_is_last(x) or _is_last(dy))):
        return None, None, None
    x, dy = (t.contiguous(memory_format=torch.channels_last) for t in (x, dy))
    dx = bottom_memory(call) if mask[0] else None
    dw = floats(call.weight.shape) if mask[1] else None
    depthwise.gradients(x, dy, call.weight, g.stride, g.pad, dx, dw)
    return dx, dw, None


def takes_backward(g: Geometry, x: torch.Tensor, mask: Mask) -> bool:
    """Whether :func:`backward` computes all that ``mask`` asks for, with x as it is."""
    if _own(g) or not (_possible(g, x) and _is_last(x) and any(mask[:2])):
        return False
    return (not mask[0] or _input_gains(g)) and (not any(mask[1:]) or _weights_gain(g))


def _own(g: Geometry) -> bool:
    """Whether each channel has its own kernel."""
    return g.group > 1 and g.group == g.bottom[1] == g.top[1]


def comes_first(g: Geometry, x: torch.Tensor) -> bool:
    """Whether :func:`forward` or :func:`backward` computes a part of this where the ways of
    kernels/convolution.py would, for one small image in Caffe's layout."""
    return _own(g) or _few(g, x) or (_possible(g, x) and _is_last(x))


def _few(g: Geometry, x: torch.Tensor) -> bool:
    """Whether this sees an image of few channels, and not one small image, which stays in Caffe's
    layout."""
    if g.few_columns:
        return False
    return g.plain and _runs(g, x) and few_channels.applies(g.bottom, g.top, g.kernel)


def _runs(g: Geometry, x: torch.Tensor) -> bool:
    """Whether native kernels take this map."""
    if not (kernels.enabled() and native.available() and len(g.kernel) == 2 and x.is_cpu):
        return False
    return x.dtype == torch.float32 and x.numel() > 0


def _possible(g: Geometry, x: torch.Tensor) -> bool:
    if not _runs(g, x):
        return False
    weights = g.bottom[1] // g.group * g.top[1] * math.prod(g.kernel)
    if weights > _MOST_WEIGHTS:
        return False
    least = _TIMES[native.kind()].least
    return max(g.kernel) <= _MOST_TAPS and min(g.bottom[1], g.top[1]) // g.group >= least


def _is_last(x: torch.Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and (
        not x.is_contiguous() or x.shape[2] * x.shape[3] == 1
    )


def _input_gains(g: Geometry) -> bool:
    if list(g.stride) != [1, 1]:
        return False
    if any(p > d * (k - 1) for p, d, k in zip(g.pad, g.dilation, g.kernel)):
        return False
    inputs, outputs = g.top[1] // g.group, g.bottom[1] // g.group
    return _by_winograd(g) or _product_gains(g, inputs, outputs, _positions(g.bottom))


def _product_gains(g: Geometry, inputs: int, outputs: int, positions: int) -> bool:
    """Of a convolution that has so many inputs and outputs in a group."""
    if _others_winograd_gains(g):
        return False
    times, taps = _TIMES[native.kind()], math.prod(g.kernel)
    ours = g.group * _up(inputs, times.inputs) * _up(outputs, _TILE) * taps
    real = g.group * inputs * outputs * taps
    theirs = _of_onednn(g, inputs, outputs)
    weight, onednns = times.weight, times.onednns_weight
    if real > _FEW_WEIGHTS:
        weight, onednns = times.weight_of_many, times.onednns_weight_of_many
    if taps > 1:
        theirs += real * onednns
    return positions * ours * times.ours + real * weight + times.call < theirs


def _by_winograd(g: Geometry) -> bool:
    """Whether the native kernels' way with Winograd's minimal filtering is faster than the direct
    one, forward and for the gradient of the input: unless laying out the weights takes what it
    saves."""
    if native.kind() not in learning.WINOGRAD_KINDS or list(g.kernel) != [3, 3] or not g.unit:
        return False
    blocks = g.top[0] * winograd.blocks_of(*g.top[2:])
    few = g.bottom[1] * g.top[1] <= _FEW_PAIRS
    return max(g.pad) <= 2 and (few or blocks >= _LEAST_BLOCKS)


def _others_winograd_gains(g: Geometry) -> bool:
    """Whether the way of kernels/winograd.py does, where these kernels have none."""
    if native.kind() in learning.WINOGRAD_KINDS or list(g.kernel) != [3, 3] or not g.unit:
        return False
    return winograd.gains(g.top)


def _of_onednn(g: Geometry, inputs: int, outputs: int) -> float:
    """The time of oneDNN's multiplications.  It leaves out what lies beyond the output."""
    times, taps = _TIMES[native.kind()], math.prod(g.kernel)
    vector, each = _TILE, times.onednns
    if taps == 1:
        vector, each = times.onednns_vector, times.onednns_products
    seen = _positions(g.top) * taps
    if not times.onednns_pad:
        seen = g.top[0] * math.prod(_seen(g, axis) for axis in (0, 1))
    return seen * g.group * inputs * _up(outputs, vector) * each


def _seen(g: Geometry, axis: int) -> int:
    """How many outputs along an axis see a pixel by a tap, of all taps together."""
    size, out = g.bottom[2 + axis], g.top[2 + axis]
    found = 0
    for tap in range(g.kernel[axis]):
        at = tap * g.dilation[axis] - g.pad[axis]
        first = max(-(at // g.stride[axis]), 0)
        end = min(-(-(size - at) // g.stride[axis]), out)
        found += max(end - first, 0)
    return found


def _weights_gain(g: Geometry) -> bool:
    if _others_winograd_gains(g):
        return False
    settings = map(tuple, (g.bottom, g.top, g.kernel, g.stride, g.pad, g.dilation))
    cycles = weight_gradient.thousand_cycles(*settings, g.group)
    if cycles < 0:
        return False
    times = _TIMES[native.kind()]
    theirs = _of_onednn(g, g.bottom[1] // g.group, g.top[1] // g.group)
    if math.prod(g.kernel) > 1:
        theirs *= times.onednns_gradient
    return cycles * times.thousand_cycles + times.call < theirs


def _positions(shape: Sequence[int]) -> int:
    return shape[0] * shape[2] * shape[3]


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def bottom_memory(call: Call) -> torch.Tensor:
    """Channels-last memory for the gradient of x; an earlier one's, where nobody needs that."""
    n, c, h, w = call.geometry.bottom
    spare = None if call.bottom_diff is None else call.bottom_diff.spare((n, h, w, c))
    return _empty_last((n, c, h, w)) if spare is None else spare.permute(0, 3, 1, 2)


def _empty_last(shape: Sequence[int]) -> torch.Tensor:
    n, c, h, w = shape
    return floats((n, h, w, c)).permute(0, 3, 1, 2)
