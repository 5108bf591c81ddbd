"""The bilinear kernel, in which the weights of upsampling layers start."""

from __future__ import annotations

import numpy as np

__all__ = ["upsample_filt"]


def upsample_filt(size: int) -> np.ndarray:
    """The size×size bilinear kernel: w(i, j) = (1 − |i − c|/f) · (1 − |j − c|/f), float64.

    f = ⌊(size + 1)/2⌋ is the factor it upsamples by; the centre c is f − 1 for odd sizes, f − ½
    else.
    """
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    profile = 1 - np.abs(np.arange(size) - center) / factor
    return profile[:, None] * profile[None, :]
