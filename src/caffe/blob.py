"""Blob: a named-axes-free N-d array with data and diff, as in pycaffe.

N x C x H x W by convention; every array is float32.  Users see ``data`` and ``diff`` as NumPy
arrays that share the blob's memory; the engine uses the methods below them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from caffe.device import current
from caffe.errors import ShapeError
from caffe.storage import Storage
from caffe.unfilled import Unfilled
from caffe.vectors import IntVec, Vector

__all__ = ["Blob", "BlobVec", "RawBlobVec"]


class Blob:
    """Data and diff of one shape.  Memory is zero at first and only grows.

    Reshaping to a size that fits the memory keeps the numbers (as a prefix); growing gives new
    zeroed memory, and arrays taken before keep the old (in BVLC they dangle).
    """

    #: A parameter that takes the shape which it has in a weights file.
    takes_any_shape = False

    def __init__(self, shape: Sequence[int] = ()) -> None:
        self.dims: tuple[int, ...] = ()
        self._data = Storage(1)
        self._diff = Storage(1)
        self._unallocated = False
        self.set_dims(tuple(shape))

    # As in pycaffe ------------------------------------------------------------------------------

    @property
    def shape(self) -> IntVec:
        """The axis lengths; a copy."""
        return IntVec(self.dims)

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.dims)

    @property
    def data(self) -> np.ndarray:
        """The values: a writable float32 array of :attr:`shape` in this blob's memory."""
        self._check_allocated()
        return self._data.array(self.dims, self)

    @property
    def diff(self) -> np.ndarray:
        """The gradient: like :attr:`data`."""
        self._check_allocated()
        return self._diff.array(self.dims, self)

    def reshape(self, *dims: int) -> None:
        """Change the shape: ``blob.reshape(1, 3, 500, 500)``; no argument makes a scalar."""
        try:
            shape = tuple(operator.index(d) for d in dims)
        except TypeError:
            raise TypeError(
                f"Blob.reshape takes the axis lengths as separate integers, got {dims!r}"
            ) from None
        self.set_dims(shape)

    @property
    def num(self) -> int:
        """Legacy name of axis 0 (items); 1 where the blob has no such axis.  Up to 4 axes."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """Legacy name of axis 1; see :attr:`num`."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """Legacy name of axis 2; see :attr:`num`."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """Legacy name of axis 3; see :attr:`num`."""
        return self._legacy(3)

    def __repr__(self) -> str:
        return f"<caffe.Blob {' x '.join(map(str, self.dims)) or 'scalar'}>"

    def __reduce__(self) -> Any:
        raise RuntimeError("a Blob cannot be pickled or copied: copy its .data instead")

    # For the engine -----------------------------------------------------------------------------

    def set_dims(self, dims: Sequence[int]) -> None:
        """:meth:`reshape` for a tuple."""
        dims = tuple(dims)
        if dims == self.dims and not self._unallocated:
            return
        if any(d < 0 for d in dims):
            raise ShapeError(f"a blob cannot have the shape {dims}: axis lengths start at 0")
        if math.prod(dims) >= 2**31:
            raise ShapeError(f"blob size exceeds INT_MAX: {dims} has {math.prod(dims)} elements")
        self._data.alert()
        self.dims = dims
        self._unallocated = False
        if self.count > self._data.capacity:
            self._data = Storage(self.count)
            self._diff = Storage(self.count)

    def leave_unallocated(self) -> None:
        """Mark a blob without a shape yet (the top of an Input layer without one)."""
        self._unallocated = True

    def host_data(self) -> np.ndarray | None:
        """The values, flat, where the host has the newest: to read at once, not to keep or write.
        None where only the device has them.  Never waits for the device."""
        host = self._data.newest_on_host()
        return None if host is None else host[: self.count]

    def data_tensor(self) -> torch.Tensor:
        """The values as a tensor of :attr:`dims` on the thread's device; see ``Storage.tensor``."""
        return self._data.tensor(self.dims)

    def diff_tensor(self) -> torch.Tensor:
        """The gradient, like :meth:`data_tensor`."""
        return self._diff.tensor(self.dims)

    def data_numbers(self) -> np.ndarray:
        """The values for reading at once, read-only: see ``Storage.numbers``.  Unlike with
        :attr:`data` nothing has to go up to a GPU again afterwards."""
        self._check_allocated()
        return self._data.numbers(self.dims)

    def diff_numbers(self) -> np.ndarray:
        """The gradient, like :meth:`data_numbers`."""
        self._check_allocated()
        return self._diff.numbers(self.dims)

    def all_finite(self) -> bool:
        """Whether no value is NaN or infinite; found out where the values lie."""
        self._check_allocated()
        if self.host_data() is not None:
            return bool(np.isfinite(self.data_numbers()).all())
        values = self.data_tensor()
        # One pass where all is well, where comparing each value takes six.
        return math.isfinite(values.sum().item()) or bool(values.isfinite().all())

    def deferred(self) -> Callable[[], np.ndarray]:
        """The values as they are now, a copy: a function that gives them, read-only.  The host
        waits for a GPU when that function is called, not before."""
        self._check_allocated()
        if self.host_data() is not None or current().torch_device.type == "cpu":
            values = self.data_numbers().copy()
            return lambda: values
        kept = self.data_tensor().clone()
        return lambda: kept.float().cpu().numpy()

    def set_data(self, value: torch.Tensor) -> None:
        """Take the tensor as the new data; its shape must be the blob's."""
        self._check_shape(value)
        self._data.write(value)

    def fill(self, part: str, values: Any) -> None:
        """``blob.data[...] = values``, or ``blob.diff``'s, without an array that is handed out."""
        self._check_allocated()
        (self._data if part == "data" else self._diff).fill(self.dims, values)

    def set_host_data(self, values: np.ndarray) -> None:
        """Take float32 numbers that lie on the host; a device gets them when it needs them."""
        if current().shares_host:
            self.set_data(torch.from_numpy(values))
        else:
            self.data[...] = values

    def set_diff(self, value: torch.Tensor) -> None:
        """Take the tensor as the new gradient; its shape must be the blob's."""
        self._check_shape(value)
        self._diff.write(value)

    def add_diff(self, value: torch.Tensor) -> None:
        """Add to the gradient, as parameters' gradients accumulate."""
        self._check_shape(value)
        self._diff.add(value, self.dims)

    def zero_diff(self) -> None:
        """Make the gradient zero."""
        self._diff.zero()

    def touch_data(self) -> None:
        """Say that :meth:`data_tensor` was written in place."""
        self._data.touch()

    def touch_diff(self) -> None:
        """Say that :meth:`diff_tensor` was written in place."""
        self._diff.touch()

    def fill_later(self, fill: Callable[[np.ndarray], object]) -> None:
        """Let ``fill`` write the values, into a flat array, when somebody first looks at them."""
        self._data.alert()
        self._data = Unfilled(self.count, fill)

    def will_be_overwritten(self) -> None:
        """Say that all values are about to be written: none are drawn for :meth:`fill_later`."""
        if isinstance(self._data, Unfilled):
            self._data.discard()

    def share_data(self, other: Blob) -> None:
        """Use the other blob's data memory; the element counts must be equal."""
        self._check_count(other)
        self._data.alert()
        self._data = other._data

    def share_diff(self, other: Blob) -> None:
        """Use the other blob's diff memory; the element counts must be equal."""
        self._check_count(other)
        self._diff = other._diff

    def use_memory(self, values: np.ndarray) -> None:
        """Take the shape and, in place, the memory of a C-contiguous float32 array as the data.

        A read-only array is copied: whoever computes in place would write into it.
        """
        if not values.flags.writeable:
            values = values.copy()
        self.set_dims(values.shape)
        if not current().shares_host and self._data.capacity == values.size:
            self._data.use_host(values.reshape(-1))  # what CUDA graphs know stays the blob's
        else:
            self._data.alert()
            self._data = Storage.around(values.reshape(-1))

    @property
    def data_storage(self) -> Storage:
        """The memory of the values; the same object for blobs that share it."""
        return self._data

    @property
    def diff_storage(self) -> Storage:
        """The memory of the gradient."""
        return self._diff

    def _legacy(self, axis: int) -> int:
        if len(self.dims) > 4:
            raise ShapeError(
                f"num, channels, height and width exist for blobs of up to 4 axes, not for "
                f"{self.dims}: use .shape"
            )
        return self.dims[axis] if axis < len(self.dims) else 1

    def _check_allocated(self) -> None:
        if self._unallocated:
            raise ShapeError(
                "this input blob has no shape yet: give one in input_param, or call "
                "blob.reshape(...) first"
            )

    def _check_shape(self, value: torch.Tensor) -> None:
        if value.shape != self.dims:
            raise ShapeError(f"a result of shape {tuple(value.shape)} for a blob of {self.dims}")

    def _check_count(self, other: Blob) -> None:
        if self.count != other.count:
            raise ShapeError(
                f"blobs of {self.dims} and {other.dims} cannot share memory: "
                f"{self.count} against {other.count} elements"
            )


class RawBlobVec(Vector):
    """Blobs that somebody else owns: the bottoms and tops that a Python layer is given."""

    @classmethod
    def element(cls, value: Any) -> Blob:
        if not isinstance(value, Blob):
            hint = ": to set a blob's numbers write blobs[i].data[...] = array"
            raise cls.refusal(value, "blobs", hint)
        return value


class BlobVec(RawBlobVec):
    """Blobs of one's own: a layer's parameters.

    Another blob put in the place of one becomes the layer's parameter.
    """

    def add_blob(self, *dims: int) -> None:
        """Append a new zero blob of these axis lengths (none: a scalar)."""
        self.append(Blob(dims))
