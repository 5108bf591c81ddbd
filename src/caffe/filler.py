"""Initial values of parameters: Caffe's seven fillers.

Random fillers draw from the calling thread's generator (:mod:`caffe.rng`) in the order in which
BVLC Caffe draws, so on the CPU a seed reproduces BVLC's initial weights bit for bit.

For a parameter of shape (d0, d1, ...): ``fan_in`` is count/d0, ``fan_out`` is count/d1 (the whole
count if there is one axis only).  For Deconvolution, whose weights are (in, out/group, k, ...),
``fan_in`` is therefore out/group*k*k, as in BVLC Caffe.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe import rng
from caffe.errors import LayerError
from caffe.hints import did_you_mean

__all__ = ["FILLERS", "fill"]

_F32 = np.float32


def _constant(array: np.ndarray, filler: Any) -> None:
    array.fill(filler.value)


def _uniform(array: np.ndarray, filler: Any) -> None:
    """U[min, max]."""
    with np.errstate(over="ignore"):
        width = _F32(filler.max) - _F32(filler.min)
    if not 0 <= width < np.inf:  # NaN is none of both; BVLC never ends for an infinite width
        raise LayerError(
            f"uniform filler: min must not be above max, and their distance a float32, received "
            f"min: {filler.min:g} max: {filler.max:g}"
        )
    array.reshape(-1)[:] = rng.get().uniform(filler.min, filler.max, array.size)


def _gaussian(array: np.ndarray, filler: Any) -> None:
    """N(mean, std); with ``sparse`` every value is kept with probability sparse/d0, else zero."""
    if not filler.std > 0:
        raise LayerError(f"gaussian filler: std must be positive, received std: {filler.std:g}")
    flat = array.reshape(-1)
    flat[:] = rng.get().gaussian(filler.mean, filler.std, array.size)
    if filler.sparse >= 0:
        keep = rng.get().bernoulli(float(_F32(filler.sparse) / _F32(array.shape[0])), array.size)
        flat *= keep


def _positive_unitball(array: np.ndarray, filler: Any) -> None:
    """U[0, 1], then every row (all values of one index of axis 0) is scaled to sum 1."""
    rows = array.reshape(array.shape[0], -1)
    rows[:] = rng.get().uniform(0.0, 1.0, array.size).reshape(rows.shape)
    # One by one in float32, as BVLC sums; NumPy's own sum adds in pairs and rounds differently.
    rows /= np.cumsum(rows, axis=1, dtype=_F32)[:, -1:]


def _fan(array: np.ndarray, filler: Any) -> np.float32:
    fan_in = array.size // array.shape[0]
    fan_out = array.size // array.shape[1] if array.ndim > 1 else array.size
    norms = {
        filler.FAN_IN: _F32(fan_in),
        filler.FAN_OUT: _F32(fan_out),
        filler.AVERAGE: _F32(fan_in + fan_out) / _F32(2),
    }
    return norms[filler.variance_norm]


def _xavier(array: np.ndarray, filler: Any) -> None:
    """U[-a, a] with a = sqrt(3/n): variance 1/n (Glorot and Bengio 2010)."""
    a = np.sqrt(_F32(3) / _fan(array, filler))
    array.reshape(-1)[:] = rng.get().uniform(-a, a, array.size)


def _msra(array: np.ndarray, filler: Any) -> None:
    """N(0, sqrt(2/n)) (He et al. 2015)."""
    std = np.sqrt(_F32(2) / _fan(array, filler))
    array.reshape(-1)[:] = rng.get().gaussian(0.0, std, array.size)


def _bilinear(array: np.ndarray, filler: Any) -> None:
    """Bilinear interpolation, the same kernel for every pair of channels.

    Upsampling each channel on its own therefore needs ``group`` equal to the number of channels.
    """
    if array.ndim != 4 or array.shape[2] != array.shape[3]:
        raise LayerError(
            "bilinear filler: expected a parameter of 4 axes with a square kernel, received shape "
            f"{_shape(array)}"
        )
    k = array.shape[3]
    f = math.ceil(k / 2)
    centre = _F32(k - 1) / _F32(2 * f)
    along = 1 - np.abs(np.arange(k, dtype=_F32) / _F32(f) - centre)
    array[:] = along[:, None] * along[None, :]


FILLERS = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}


def _shape(array: np.ndarray) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ")"


def fill(array: np.ndarray, filler: Any) -> None:
    """Fill a parameter in place.

    Args:
        array: float32, C-contiguous, with at least one value.
        filler: a ``FillerParameter``; type "constant" with value 0 if nothing is set.

    Raises:
        LayerError: an unknown type, or settings or a shape that the type cannot work with.
    """
    function = FILLERS.get(filler.type)
    if function is None:
        raise LayerError(
            f"Unknown filler name: {filler.type!r} (known fillers: {', '.join(FILLERS)})."
            f"{did_you_mean(filler.type, FILLERS)}"
        )
    if filler.sparse != -1 and filler.type != "gaussian":
        raise LayerError(
            f"{filler.type} filler: sparse is known to the gaussian filler only, received "
            f"sparse: {filler.sparse}"
        )
    if array.size == 0:
        raise LayerError(f"{filler.type} filler: the parameter is empty, shape {_shape(array)}")
    by_row = filler.type in ("positive_unitball", "xavier", "msra") or filler.sparse != -1
    if array.ndim == 0 and by_row:
        raise LayerError(f"{filler.type} filler: needs a parameter of at least one axis, not 0")
    function(array, filler)
