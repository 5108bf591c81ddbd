"""Ways to compute a 2-D convolution on the CPU, in a table; the first that applies is taken.

To add one: a subclass of :class:`Way` in a file of kernels/ways and its place in :data:`WAYS`.
"""

from __future__ import annotations

import torch

from caffe import kernels
from caffe.kernels.ways import Call, Geometry, Grads, Way
from caffe.kernels.ways.columns import Columns
from caffe.kernels.ways.general import General
from caffe.kernels.ways.pointwise import Pointwise
from caffe.kernels.ways.winograd import Winograd

__all__ = ["WAYS", "Call", "Geometry", "Grads", "Way", "choose"]

GENERAL = General()
WAYS: tuple[Way, ...] = (Pointwise(), Winograd(), Columns(), GENERAL)  # the first that applies


def choose(g: Geometry, weight: torch.Tensor) -> Way:
    """The fastest way for this geometry."""
    ways = WAYS if kernels.enabled() else (GENERAL,)
    return next(way for way in ways if way.applies(g, weight))
