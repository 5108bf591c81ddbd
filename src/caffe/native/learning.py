"""Convolutions whose weights are others each time, as in training, on the native kernels
(c/convolve.c): forward, and the gradient of the input where the stride is 1.

Both have two ways: direct, and Winograd's (kernel 3x3, stride 1, no groups or holes, any pad) of
the kinds in :data:`WINOGRAD_KINDS`."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from caffe import native
from caffe.errors import Error
from caffe.native.calls import address_of_last
from caffe.native.handle import Handle
from caffe.native.program import Map

__all__ = ["WINOGRAD_KINDS", "convolve", "gradient_of_input", "require_winograd"]

WINOGRAD_KINDS = ("avx512", "avx2")  # of native.kind()

_MOST = 64  # prepared convolutions that a thread keeps, each with room for its packed weights
_RELU = 1


class _Prepared:
    """A convolution of one geometry, for one thread."""

    def __init__(
        self,
        bottom: Sequence[int],
        top: Sequence[int],
        window: tuple[int, ...],
        turned: bool,
        act: int,
        winograd: bool,
    ) -> None:
        maps = [ctypes.byref(Map(None, n, h, w, c, c)) for n, c, h, w in (bottom, top)]
        self._made = Handle(
            MemoryError(f"no memory for a convolution from {bottom} to {top}"),
            "kernels_prepare_learning_winograd" if winograd else "kernels_prepare_learning",
            *(*maps, (ctypes.c_int32 * 9)(*window), turned, act),
            free="kernels_release",
        )
        self._run = native.needed().kernels_convolve_learning

    def run(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
    ) -> None:
        addresses = [None if t is None else t.data_ptr() for t in (x, weight, bias, y)]
        given = map(ctypes.c_void_p, addresses)
        if self._run(self._made.address, torch.get_num_threads(), *given) < 0:
            raise MemoryError("no memory for a convolution")


def require_winograd(window: tuple[int, ...]) -> None:
    """Raise Error unless the kernels have Winograd's way for this window: kernel, stride, pad and
    dilation, each height first, and groups."""
    kernel, stride, dilation, groups = window[0:2], window[2:4], window[6:8], window[8]
    if kernel != (3, 3) or (*stride, *dilation, groups) != (1, 1, 1, 1, 1):
        raise Error(
            "Winograd's way is for kernels of (3, 3), stride and dilation (1, 1) and one group; "
            f"got {kernel}, {stride}, {dilation} and {groups}"
        )
    if native.kind() not in WINOGRAD_KINDS:
        raise Error(
            f"native kernels of kind {native.kind()} have no way of Winograd's for convolutions "
            f"that learn; those that have: {', '.join(WINOGRAD_KINDS)}"
        )


class _Known(threading.local):
    def __init__(self) -> None:
        self.by_geometry: OrderedDict[Any, _Prepared] = OrderedDict()


_known = _Known()


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
    relu: bool = False,
    winograd: bool = False,
) -> None:
    """Write the convolution of ``x`` (N, C, H, W) with weights (O, C / group, kh, kw), and a
    ReLU on request, into ``y`` (N, O, H', W'); by ``winograd``'s way where that is asked for
    (:func:`require_winograd`).

    All float32 on the CPU; ``x`` and ``y`` in dense channels-last memory.
    """
    window = (*weight.shape[2:], *stride, *pad, *dilation, group)
    prepared = _prepared(x, y, window, False, _RELU if relu else 0, winograd)
    prepared.run(x, weight.contiguous(), None if bias is None else bias.contiguous(), y)


def gradient_of_input(
    dy: torch.Tensor,
    weight: torch.Tensor,
    dx: torch.Tensor,
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
    winograd: bool = False,
) -> None:
    """Write the gradient of the input of a convolution of stride 1 into ``dx`` (N, C, H, W), from
    the output's ``dy`` (N, O, H', W').  Memory as for :func:`convolve`; no pad is above
    dilation * (kernel - 1)."""
    reach = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], pad)]
    window = (*weight.shape[2:], 1, 1, *reach, *dilation, group)
    _prepared(dy, dx, window, True, 0, winograd).run(dy, weight.contiguous(), None, dx)


def _prepared(
    x: torch.Tensor,
    y: torch.Tensor,
    window: tuple[int, ...],
    turned: bool,
    act: int,
    winograd: bool,
) -> _Prepared:
    for t in (x, y):
        address_of_last(t, "the native convolution")
    shapes = tuple(x.shape), tuple(y.shape)
    key = *shapes, window, turned, act, winograd
    known = _known.by_geometry
    found = known.get(key)
    if found is None:
        if winograd:
            require_winograd(window)
        found = known[key] = _Prepared(*shapes, window, turned, act, winograd)
        if len(known) > _MOST:
            known.popitem(last=False)
    else:
        known.move_to_end(key)
    return found
