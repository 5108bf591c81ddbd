"""Ways to compute a layer faster on the CPU than PyTorch's general operators, to float32 rounding.

Each module says when it applies and is checked against the general operator in its test.  Layers
choose; ``CAFFE_KERNELS=plain`` in the environment makes them use the general operators only.
"""

from __future__ import annotations

import os

__all__ = ["enabled"]


def enabled() -> bool:
    """False where the environment asks for the general operators only."""
    return os.environ.get("CAFFE_KERNELS", "") != "plain"
