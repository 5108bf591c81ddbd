"""The gradient of a convolution's weights by the native kernels (c/weight_gradient.c)."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

import torch

from caffe import native
from caffe.native.calls import Calls, floats
from caffe.native.learning import require_winograd

__all__ = ["WAYS", "of_weights", "thousand_cycles"]

Pair = Sequence[int]


class _Gradient(ctypes.Structure):
    """``weight_gradient`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "dy", "dw", "db")),
        *((name, ctypes.c_int32) for name in ("n", "h", "w", "c", "out_h", "out_w", "out_c")),
        *((name, ctypes.c_int64) for name in ("x_pixel", "dy_pixel")),
        ("window", ctypes.c_int32 * 9),
        ("add", ctypes.c_int32),
        ("way", ctypes.c_int32),
    )


#: The fastest, and where there are both: directly, and by Winograd's minimal filtering, for kernels
#: of 3x3 and stride 1, without groups or holes, of the kinds without tiles.
WAYS = "fastest", "direct", "winograd"

_calls = Calls("kernels_weight_gradient_new", "kernels_weight_gradient")


def of_weights(
    x: torch.Tensor,
    dy: torch.Tensor,
    shape: Sequence[int],
    stride: Pair = (1, 1),
    pad: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    bias: bool = False,
    out: torch.Tensor | None = None,
    threads: int | None = None,
    way: str = "fastest",
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The gradients of the weights, of ``shape`` (O, C / groups, kh, kw), and with ``bias`` of the
    bias, (O,).

    ``x`` is (N, C, H, W), ``dy`` the top's gradient (N, O, H', W'), both float32 on the CPU;
    channels-last memory is read as it is, also where the channels are some of wider maps.  ``out``
    is memory of the weights' shape that is written and returned.  The result does not depend on
    the number of threads, PyTorch's unless it is given.  ``way`` is one of :data:`WAYS`.
    """
    x, x_pixel = _pixels(x)
    dy, dy_pixel = _pixels(dy)
    dw = floats(shape) if out is None else out
    db = floats(shape[:1]) if bias else None
    n, c, h, w = x.shape
    _, o, out_h, out_w = dy.shape
    window = (*shape[2:], *stride, *pad, *dilation, groups)
    if way == "winograd":
        require_winograd(window)
    call = _Gradient(
        *(x.data_ptr(), dy.data_ptr(), dw.data_ptr(), 0 if db is None else db.data_ptr()),
        *(n, h, w, c, out_h, out_w, o, x_pixel, dy_pixel),
        (ctypes.c_int32 * 9)(*window),
        way=WAYS.index(way),
    )
    _calls.run(False, call, threads)
    return dw, db


@functools.lru_cache(maxsize=1024)
def thousand_cycles(
    bottom: tuple[int, ...],
    top: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> int:
    """About how many thousands of a processor's cycles :func:`of_weights` takes on one thread for
    a bottom (N, C, H, W) and a top of these shapes; -1 where it cannot compute the gradient."""
    n, c, h, w = bottom
    _, o, out_h, out_w = top
    window = (ctypes.c_int32 * 9)(*kernel, *stride, *pad, *dilation, groups)
    call = _Gradient(n=n, h=h, w=w, c=c, out_h=out_h, out_w=out_w, out_c=o, window=window)
    return int(native.needed().kernels_weight_gradient_cycles(ctypes.byref(call)))


def _pixels(x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A map in channels-last memory, and the numbers from pixel to pixel."""
    n, c, h, w = x.shape
    sn, sc, sh, sw = x.stride()
    # PyTorch leaves the stride of an axis of size 1 undefined.
    pixel = sw if w > 1 else sh if h > 1 else sn if n > 1 else c
    rows = (h == 1 or sh == w * pixel) and (n == 1 or sn == h * w * pixel)
    if (sc == 1 or c == 1) and rows and pixel >= c:
        return x, pixel
    x = x.contiguous(memory_format=torch.channels_last)
    return x, c
