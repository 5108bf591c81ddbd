"""What goes into a program and comes out of it: blobs that stay where they are from pass to pass.

A program of a small net runs in 30 to 100 µs, after which the caches hold its weights and not the
interpreter's code: every further function costs several times what it would in a loop of its own.
So inputs are copied to memory that is made once, and outputs are written to where arrays show them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from caffe.blob import Blob
from caffe.kernels import fused

__all__ = ["Ends"]

_FEW = 1 << 13  # numbers of which NumPy finds out sooner whether they are finite


class Ends:
    """The input and output blobs of a program, as they are when this is made.

    Attributes:
        inputs: the inputs' numbers as :meth:`take` has found them.
    """

    def __init__(self, inputs: Sequence[Blob], outputs: Sequence[Blob]) -> None:
        self._sources = [(blob, blob.data_storage) for blob in inputs]
        self._targets = [(blob.data_storage, blob.dims) for blob in outputs]
        self._all = [(blob, blob.dims, blob.data_storage) for blob in (*inputs, *outputs)]
        self.inputs = [torch.empty(blob.dims) for blob in inputs]
        self._arrays = [values.numpy().reshape(-1) for values in self.inputs]
        # The memory of each output in the last pass, as PyTorch and as NumPy see it.
        self._filled: list[tuple[torch.Tensor | None, np.ndarray]] = [
            (None, np.empty(0)) for _ in outputs
        ]
        # The host's memory of each input, and the part of it that the blob has.
        self._seen: list[tuple[np.ndarray | None, np.ndarray]] = [(None, a) for a in self._arrays]

    def have_stayed(self) -> bool:
        """Whether the blobs still have the same shapes and the same memory."""
        for blob, dims, storage in self._all:
            if blob.dims is not dims or blob.data_storage is not storage:
                return False
        return True

    def take(self) -> None:
        """Copy the inputs' numbers to :attr:`inputs`."""
        for i, (blob, storage) in enumerate(self._sources):
            host = storage.newest_on_host()
            if host is None:
                self.inputs[i].copy_(blob.data_tensor())
                continue
            seen, values = self._seen[i]
            if host is not seen:
                values = host[: blob.count]
                self._seen[i] = host, values
            np.copyto(self._arrays[i], values)

    def are_finite(self) -> bool:
        """False where one of :attr:`inputs` is NaN or infinite."""
        return all(map(_finite, self.inputs, self._arrays))

    def to_fill(self) -> list[torch.Tensor]:
        """Contiguous memory for the outputs: what the caller writes there is their new data."""
        return [storage.to_fill(dims) for storage, dims in self._targets]

    def give(self, found: Sequence[torch.Tensor]) -> bool:
        """Make these the outputs' data; False where one is not finite."""
        for i, (values, to) in enumerate(zip(found, self.to_fill())):
            filled, flat = self._filled[i]
            if filled is not to:
                flat = to.numpy().reshape(-1)
                self._filled[i] = to, flat
            if len(flat) > _FEW:
                to.copy_(values)
            else:  # NumPy's call takes less
                np.copyto(flat, values.numpy().reshape(-1))
            if not _finite(to, flat):
                return False
        return True


def _finite(values: torch.Tensor, flat: np.ndarray) -> bool:
    if len(flat) > _FEW:
        return fused.finite(values)
    return int(np.count_nonzero(np.isfinite(flat))) == len(flat)
