"""Winograd's way to a 3x3 convolution on the native kernels, for regions of images."""

from __future__ import annotations

import ctypes
import threading

import torch

from caffe import native
from caffe.errors import Error
from caffe.native.handle import Handle

__all__ = ["Winograd"]


class _Region(ctypes.Structure):
    """``region`` in C."""

    _fields_ = [
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("x_pixel", ctypes.c_int64),
        ("y_pixel", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("h", "w", "row0", "row1", "column0", "column1")),
        ("bias", ctypes.c_void_p),
        ("relu", ctypes.c_int32),
        # Filled in by the kernel:
        *((name, ctypes.c_int32) for name in ("y_w", "images", "y_image")),
    ]


class Winograd:
    """A convolution of 3x3, stride 1 and pad 1.

    Args:
        u: the weights, transformed by :func:`caffe.kernels.winograd.transform_weights`:
            (24, outputs, channels).  They are copied: 6 bytes a number with AMX,
            4 without.
    """

    def __init__(self, u: torch.Tensor) -> None:
        _, self.outputs, self.channels = u.shape
        u = u.contiguous()
        region = ctypes.POINTER(_Region)()
        given = self.channels, self.outputs, ctypes.c_void_p(u.data_ptr()), ctypes.byref(region)
        failure = MemoryError(f"no memory for the packed weights of {tuple(u.shape)}")
        self._program = Handle(failure, "kernels_winograd_region", *given)
        self._region = region.contents
        self._run = native.needed().kernels_run
        self._one_at_a_time = threading.Lock()  # nets of several threads may share weights

    def forward(
        self,
        x: torch.Tensor,
        bias: torch.Tensor | None,
        y: torch.Tensor,
        relu: bool = False,
        window: tuple[int, int, int, int] | None = None,
        above: int = 0,
    ) -> None:
        """:func:`caffe.kernels.winograd.forward` with the weights of this object."""
        height, width, channels = x.shape
        whole = 0, y.shape[0], 0, y.shape[1]
        x_pixel = _pixel(x, (height, width, self.channels))
        y_pixel = _pixel(y, (y.shape[0], width, self.outputs))
        bias = None if bias is None else bias.contiguous()
        with self._one_at_a_time:
            region = self._region
            region.x, region.x_pixel = x.data_ptr(), x_pixel
            row = width * y_pixel * y.element_size()
            region.y, region.y_pixel = y.data_ptr() - above * row, y_pixel
            region.h, region.w = height, width
            region.row0, region.row1, region.column0, region.column1 = window or whole
            region.bias = None if bias is None else bias.data_ptr()
            region.relu = relu
            if self._run(self._program.address, torch.get_num_threads(), None) < 0:
                raise MemoryError(f"no memory for the products of {channels} channels")


def _pixel(x: torch.Tensor, shape: tuple[int, ...]) -> int:
    """The numbers from pixel to pixel, in memory where rows follow each other without a gap."""
    h, w, channels = x.shape
    pixel = x.stride(1) if w > 1 else x.stride(0) if h > 1 else channels
    dense = h == 1 or x.stride(0) == w * pixel
    last = channels == 1 or x.stride(2) == 1
    if tuple(x.shape) != shape or x.dtype != torch.float32 or not (dense and last):
        raise Error(
            f"Winograd's way takes float32 of {shape}, channels last and rows one after the other; "
            f"got {x.dtype} of {tuple(x.shape)} with strides {x.stride()}"
        )
    return pixel
