"""Where a pixel of one blob lies in another: what Crop offsets of FCNs are computed from.

Along each spatial axis a layer maps its top's coordinates to its bottom's by an affine function.
A map is a triple ``(axis, scale, shift)``: ``axis`` is the first spatial axis (None: any),
and a coordinate x of the bottom lies at ``scale · x + shift`` in the top.  Maps are composed along
a path through the net; :func:`crop` turns the map between two tops into a Crop layer.

Works on the Tops of :mod:`caffe.net_spec`; no net is built.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import numpy as np

from caffe.net_spec import Function, Top
from caffe.net_spec import layers as L

__all__ = [
    "PASS_THROUGH_LAYERS",
    "AxisMismatchException",
    "UndefinedMapException",
    "compose",
    "conv_params",
    "coord_map",
    "coord_map_from_to",
    "crop",
    "crop_params",
    "inverse",
    "window_map",
]

Map = tuple[Any, Any, Any]

PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
]

# 2-D fields of the older style, which have no order of axes to rely on.
_LEGACY_FIELDS = {"kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w"}

# Offsets this near to an integer are one: scales such as 1/3 · 1/7 · 21 are rounded.
_TOLERANCE = 1e-9


class UndefinedMapException(Exception):
    """A layer whose top has no fixed place in its bottom (InnerProduct, Reshape, …)."""


class AxisMismatchException(Exception):
    """Two maps that begin at different axes."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Returns first spatial axis, stride, extent and pad of a convolution or pooling layer.

    The extent of a dilated kernel is (k − 1) · dilation + 1.  One value each for all spatial axes,
    or one per axis.

    Raises:
        AssertionError: the kernel is given by ``kernel_h`` and the like.
    """
    params = fn.params.get("convolution_param", fn.params)
    legacy = sorted(_LEGACY_FIELDS & {*fn.params, *params})
    if legacy:
        raise AssertionError(
            f"cannot crop {fn.type_name} layer with legacy _h/_w parameters: got "
            f"{', '.join(legacy)}; write kernel_size, stride and pad instead"
        )
    kernel, stride, pad, dilation = (
        np.array(params[name] if default is None else params.get(name, default), ndmin=1)
        for name, default in (("kernel_size", None), ("stride", 1), ("pad", 0), ("dilation", 1))
    )
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """Returns the first cropped axis and the offset (one value, or one per axis) of a Crop."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def window_map(type_name: str, stride: Any, extent: Any, pad: Any) -> tuple[Any, Any]:
    """Returns scale and shift of a sliding window, or of a Deconvolution's, its transpose."""
    if type_name == "Deconvolution":
        return stride, (extent - 1) / 2 - pad
    return 1 / stride, (pad - (extent - 1) / 2) / stride


def coord_map(fn: Function) -> Map:
    """Returns the map of one layer, from its (first) bottom's coordinates to its top's.

    Raises:
        UndefinedMapException: the type has none.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col", "Deconvolution"):
        axis, stride, extent, pad = conv_params(fn)
        return axis, *window_map(fn.type_name, stride, extent, pad)
    if fn.type_name in PASS_THROUGH_LAYERS:
        return None, 1, 0
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # Crop counts axes from N, convolutions from C
    raise UndefinedMapException(f"{fn.type_name} layers have no coordinate map")


def compose(base_map: Map, next_map: Map) -> Map:
    """Returns the map x → base(next(x)).

    Raises:
        AxisMismatchException: both name an axis, and not the same.
    """
    base_axis, base_scale, base_shift = base_map
    next_axis, next_scale, next_shift = next_map
    if base_axis is not None and next_axis is not None and base_axis != next_axis:
        raise AxisMismatchException(f"maps begin at axis {base_axis} and at axis {next_axis}")
    axis = next_axis if base_axis is None else base_axis
    return axis, base_scale * next_scale, base_scale * next_shift + base_shift


def inverse(coord_map: Map) -> Map:
    """Returns the map the other way round."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Returns the map between two tops, by way of a blob that both depend on.

    A coordinate x of ``top_from`` lies at ``scale · x + shift`` in ``top_to``.

    Raises:
        RuntimeError: they have no common ancestor through layers with a map.
        AxisMismatchException: layers on the way begin at different axes.
    """
    from_maps = _maps_to_ancestors(top_from)
    for ancestor, to_map in _maps_to_ancestors(top_to).items():
        if ancestor in from_maps:
            return compose(to_map, inverse(from_maps[ancestor]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def _maps_to_ancestors(top: Top) -> dict[Top, Map]:
    """For each blob that ``top`` depends on: the map from that blob to ``top``, nearest first."""
    maps: dict[Top, Map] = {top: (None, 1, 0)}
    frontier = deque([top])
    while frontier:
        current = frontier.popleft()
        # The second bottom of Crop gives only the size.
        bottoms = current.fn.inputs[: 1 if current.fn.type_name == "Crop" else None]
        for bottom in bottoms:
            if bottom in maps:
                continue
            try:
                maps[bottom] = compose(maps[current], coord_map(current.fn))
            except UndefinedMapException:
                continue
            frontier.append(bottom)
    return maps


def crop(top_from: Top, top_to: Top) -> Top:
    """Returns a Crop layer that cuts ``top_from`` to the size of ``top_to``, pixels aligned.

    Raises:
        AssertionError: the two differ in scale, or the offset is negative or no integer.
        RuntimeError: see :func:`coord_map_from_to`.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.asarray(scale), np.asarray(shift)
    offset = -np.round(shift)
    if not np.allclose(scale, 1, rtol=0, atol=_TOLERANCE):
        raise AssertionError(f"scale mismatch on crop (a = {scale}); upsample by 1 / a before")
    if (offset < 0).any():
        raise AssertionError(f"cannot crop negative offset (b = {shift}); pad more before")
    if not np.allclose(shift, -offset, rtol=0, atol=_TOLERANCE):
        raise AssertionError(
            f"cannot crop noninteger offset (b = {shift}); change kernel sizes or pads on the way"
        )
    offsets = [int(value) for value in np.atleast_1d(offset)]
    crop = L.Crop(top_from, top_to, crop_param=dict(axis=axis + 1, offset=offsets))
    return cast(Top, crop)  # of one top
