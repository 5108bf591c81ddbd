"""Division by a number as IEEE 754 has it, on a GPU as well."""

from __future__ import annotations

import torch

__all__ = ["divide"]


def divide(x: torch.Tensor, by: float) -> torch.Tensor:
    """``x / by``, float32 or integers, with the bits that a CPU gives, on any device; float32 where
    ``x`` holds integers.

    PyTorch's CUDA kernel multiplies by ``1 / by`` where ``by`` is a number of the host.  In a third
    of all cases that is another float32: 21 / 7 becomes more than 3, and its ``ceil`` another
    pixel.  By a tensor on the device it divides.  So use this wherever a quotient is rounded,
    compared, or a coordinate; a quotient that is only a value may be half a unit off.

    Nothing is uploaded and the host does not wait, so a CUDA graph can hold it.
    """
    if x.device.type == "cpu":
        return x / by
    dtype = x.dtype if x.dtype.is_floating_point else torch.get_default_dtype()
    return x / torch.full((), by, dtype=dtype, device=x.device)
