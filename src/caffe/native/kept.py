"""Products with many weights that are read where they lie, in each run (c/product.c): packed they
would take one and a half times their memory once more."""

from __future__ import annotations

import ctypes
import threading

import torch

from caffe import native
from caffe.errors import Error
from caffe.native.calls import floats
from caffe.native.handle import Handle

__all__ = ["MOST_ROWS", "Kept"]

MOST_ROWS = 1024
_Address = ctypes.POINTER(ctypes.c_void_p)


class Kept:
    """The product of a (rows, depth) matrix with the transpose of ``weight`` (outputs, depth).

    The weights must keep their numbers as long as this is used.  At most :data:`MOST_ROWS` rows.
    """

    def __init__(self, rows: int, weight: torch.Tensor) -> None:
        self._weight = weight.contiguous()
        self.outputs, self.depth = weight.shape
        self.rows = rows
        self._x, self._y = _Address(), _Address()
        sizes = map(ctypes.c_int64, (rows, self.depth, self.outputs))
        data = ctypes.c_void_p(self._weight.data_ptr())
        given = *sizes, data, ctypes.byref(self._x), ctypes.byref(self._y)
        failure = Error(f"a native product takes 1 to {MOST_ROWS} rows, not {rows}")
        self._made = Handle(failure, "kernels_product", *given)
        self._run = native.needed().kernels_run
        self._one_at_a_time = threading.Lock()  # nets of several threads may share weights

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, depth), float32 -> (rows, outputs)."""
        if tuple(x.shape) != (self.rows, self.depth) or x.dtype != torch.float32:
            raise Error(
                f"a native product takes float32 of {(self.rows, self.depth)}; "
                f"got {x.dtype} of {tuple(x.shape)}"
            )
        x, y = x.contiguous(), floats((self.rows, self.outputs))
        with self._one_at_a_time:
            self._x[0], self._y[0] = x.data_ptr(), y.data_ptr()
            if self._run(self._made.address, torch.get_num_threads(), None) < 0:
                raise MemoryError("no memory for a native product")
        return y
