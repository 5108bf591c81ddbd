"""Initial values of parameters: Caffe's seven fillers.

Random fillers draw from the calling thread's generator (:mod:`caffe.rng`) in the order in which
BVLC Caffe draws, so on the CPU a seed reproduces BVLC's initial weights bit for bit.

For a parameter of shape (d0, d1, ...): ``fan_in`` is count/d0, ``fan_out`` is count/d1 (the whole
count if there is one axis only).  For Deconvolution, whose weights are (in, out/group, k, ...),
``fan_in`` is therefore out/group*k*k, as in BVLC Caffe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe import rng
from caffe.errors import LayerError
from caffe.hints import did_you_mean

__all__ = ["FILLERS", "RANDOM", "fill", "prepare"]

_F32 = np.float32


# Each takes the parameter's shape and the settings, checks that they can work, and returns what
# writes the values: into a float32 array of that shape, from a generator.
Write = Callable[[np.ndarray, rng.Generator], object]
Shape = tuple[int, ...]


def _constant(shape: Shape, filler: Any) -> Write:
    return lambda array, generator: array.fill(filler.value)


def _uniform(shape: Shape, filler: Any) -> Write:
    """U[min, max]."""
    with np.errstate(over="ignore"):
        width = _F32(filler.max) - _F32(filler.min)
    if not 0 <= width < np.inf:  # NaN is none of both; BVLC never ends for an infinite width
        raise LayerError(
            f"uniform filler: min must not be above max, and their distance a float32, received "
            f"min: {filler.min:g} max: {filler.max:g}"
        )
    return functools.partial(_write_uniform, filler.min, filler.max)


def _write_uniform(lo: float, hi: float, array: np.ndarray, generator: rng.Generator) -> None:
    array.reshape(-1)[:] = generator.uniform(lo, hi, array.size)


def _gaussian(shape: Shape, filler: Any) -> Write:
    """N(mean, std); with ``sparse`` every value is kept with probability sparse/d0, else zero."""
    if not filler.std > 0:
        raise LayerError(f"gaussian filler: std must be positive, received std: {filler.std:g}")

    def write(array: np.ndarray, generator: rng.Generator) -> None:
        flat = array.reshape(-1)
        generator.gaussian(filler.mean, filler.std, array.size, out=flat)
        if filler.sparse >= 0:
            keep = generator.bernoulli(float(_F32(filler.sparse) / _F32(shape[0])), array.size)
            flat *= keep

    return write


def _positive_unitball(shape: Shape, filler: Any) -> Write:
    """U[0, 1], then every row (all values of one index of axis 0) is scaled to sum 1."""

    def write(array: np.ndarray, generator: rng.Generator) -> None:
        rows = array.reshape(array.shape[0], -1)
        rows[:] = generator.uniform(0.0, 1.0, array.size).reshape(rows.shape)
        # One by one in float32, as BVLC sums; NumPy's own sum adds in pairs and rounds differently.
        rows /= np.cumsum(rows, axis=1, dtype=_F32)[:, -1:]

    return write


def _fan(shape: Shape, filler: Any) -> np.float32:
    count = math.prod(shape)
    fan_in = count // shape[0]
    fan_out = count // shape[1] if len(shape) > 1 else count
    norms = {
        filler.FAN_IN: _F32(fan_in),
        filler.FAN_OUT: _F32(fan_out),
        filler.AVERAGE: _F32(fan_in + fan_out) / _F32(2),
    }
    return norms[filler.variance_norm]


def _xavier(shape: Shape, filler: Any) -> Write:
    """U[-a, a] with a = sqrt(3/n): variance 1/n (Glorot and Bengio 2010)."""
    a = np.sqrt(_F32(3) / _fan(shape, filler))
    return functools.partial(_write_uniform, -a, a)


def _msra(shape: Shape, filler: Any) -> Write:
    """N(0, sqrt(2/n)) (He et al. 2015)."""
    std = np.sqrt(_F32(2) / _fan(shape, filler))
    return lambda array, generator: generator.gaussian(0.0, std, array.size, out=array.reshape(-1))


def _bilinear(shape: Shape, filler: Any) -> Write:
    """Bilinear interpolation, the same kernel for every pair of channels.

    Upsampling each channel on its own therefore needs ``group`` equal to the number of channels.
    """
    if len(shape) != 4 or shape[2] != shape[3]:
        raise LayerError(
            "bilinear filler: expected a parameter of 4 axes with a square kernel, received shape "
            f"{_words(shape)}"
        )
    k = shape[3]
    f = math.ceil(k / 2)
    centre = _F32(k - 1) / _F32(2 * f)
    along = 1 - np.abs(np.arange(k, dtype=_F32) / _F32(f) - centre)

    def write(array: np.ndarray, generator: rng.Generator) -> None:
        array[:] = along[:, None] * along[None, :]

    return write


FILLERS = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}


RANDOM = frozenset({"gaussian", "msra", "positive_unitball", "uniform", "xavier"})


def _words(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def prepare(shape: Sequence[int], filler: Any) -> Write:
    """What fills a parameter of this shape, with the settings checked.

    Args:
        shape: with at least one value.
        filler: a ``FillerParameter``; type "constant" with value 0 if nothing is set.

    Returns:
        A function of an array (float32, C-contiguous, of that shape) and a generator.

    Raises:
        LayerError: an unknown type, or settings or a shape that the type cannot work with.
    """
    shape = tuple(shape)
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
    if math.prod(shape) == 0:
        raise LayerError(f"{filler.type} filler: the parameter is empty, shape {_words(shape)}")
    by_row = filler.type in ("positive_unitball", "xavier", "msra") or filler.sparse != -1
    if not shape and by_row:
        raise LayerError(f"{filler.type} filler: needs a parameter of at least one axis, not 0")
    return function(shape, filler)


def fill(array: np.ndarray, filler: Any) -> None:
    """Fill a parameter in place, from the calling thread's stream; see :func:`prepare`."""
    prepare(array.shape, filler)(array, rng.get())
