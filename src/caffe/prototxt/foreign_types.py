"""Layer types as old forks wrote them, brought to today's names after a net has been parsed.

Two kinds: a present-day ``layer`` whose type is the name of the old enum (``type: "SOFTMAX"``), and
V1 layers of types that only forks had then.  Of these Crop needs care: in the first FCN files
(longjon's branch of 2014) it has no offset, and finds out by itself where its first bottom lies
over the second.  The Crop of today does not, so the offset is computed here, by the same rule as
:mod:`caffe.coord_map`'s, and written into the layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt.forks import ForeignFieldWarning

__all__ = ["has_enum_names", "rename_enum_names", "set_crop_offsets"]

_PARAM = {
    "Convolution": "convolution_param",
    "Crop": "crop_param",
    "Deconvolution": "convolution_param",
    "Im2col": "convolution_param",
    "Pooling": "pooling_param",
}


def _is_enum_name(layer: Any, type_of: Callable[[int], str]) -> bool:
    values = caffe_pb2.V1LayerParameter.LayerType.DESCRIPTOR.values_by_name
    known = layer.type in values and layer.type != "NONE"
    return known and type_of(values[layer.type].number) != layer.type


def has_enum_names(net: Any, type_of: Callable[[int], str]) -> bool:
    """Whether any ``layer`` has the name of an old enum as its type."""
    return any(_is_enum_name(layer, type_of) for layer in net.layer)


def rename_enum_names(net: Any, source: str, type_of: Callable[[int], str]) -> None:
    """Gives such layers their present types, in place, with one warning for each type.

    ``type_of`` is from an old enum's number to the present type.
    """
    values = caffe_pb2.V1LayerParameter.LayerType.DESCRIPTOR.values_by_name
    renamed: dict[str, list[str]] = {}
    for layer in net.layer:
        if _is_enum_name(layer, type_of):
            renamed.setdefault(layer.type, []).append(layer.name)
            layer.type = type_of(values[layer.type].number)
    for old, names in renamed.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        warnings.warn(
            f"{source}: layer '{names[0]}'{more}: type \"{old}\" is the name of the old "
            f'`layers` enum. It is read as "{type_of(values[old].number)}".',
            ForeignFieldWarning,
            stacklevel=2,
        )


class _Function:
    """A layer as coord_map sees it (net_spec.Function): its type, settings and bottoms."""

    def __init__(self, layer: Any, inputs: Sequence[_Top]) -> None:
        self.type_name, self.inputs = layer.type, inputs
        message = getattr(layer, _PARAM[layer.type]) if layer.type in _PARAM else None
        self.params = {
            field.name: list(value) if hasattr(value, "extend") else value
            for field, value in (message.ListFields() if message is not None else ())
        }


class _Top:
    """A blob as coord_map sees it (net_spec.Top)."""

    def __init__(self, fn: _Function) -> None:
        self.fn = fn


def set_crop_offsets(net: Any, crops: set[int], source: str) -> None:
    """Sets ``crop_param`` of the layers of these numbers so that the pixels of their bottoms lie
    over each other, in place, with one warning for all.

    Raises:
        PrototxtError: the bottoms' coordinates have no such offset.
    """
    tops: dict[str, _Top] = {}
    told = []
    for number, layer in enumerate(net.layer):
        inputs = [tops[name] for name in layer.bottom if name in tops]
        if number in crops and len(inputs) == 2:
            layer.crop_param.offset.extend(_offset(inputs, layer, source))
            told.append(f"'{layer.name}' offset {', '.join(map(str, layer.crop_param.offset))}")
        fn = _Function(layer, inputs)
        tops.update((name, _Top(fn)) for name in layer.top)
    if told:
        warnings.warn(
            f"{source}: layers of type CROP are those of the first FCN files, which find their "
            f"offset by themselves. They are read as Crop with the offsets that follow from the "
            f"layers between their bottoms: {'; '.join(told)}.",
            ForeignFieldWarning,
            stacklevel=2,
        )


def _offset(inputs: Sequence[_Top], layer: Any, source: str) -> list[int]:
    """Where the second bottom begins in the first: one number, or one for each axis."""
    from caffe import coord_map

    try:
        top_from, top_to = (cast(coord_map.Top, top) for top in inputs)
        _, scale, shift = coord_map.coord_map_from_to(top_from, top_to)
    except (AssertionError, KeyError, RuntimeError, coord_map.AxisMismatchException) as error:
        raise PrototxtError(
            f"{source}: layer '{layer.name}': the offset of this CROP cannot be found: {error}. "
            "Write it as a `layer` with its crop_param"
        ) from error
    offset = -np.atleast_1d(np.asarray(shift, float))
    whole = np.rint(offset)
    if not np.allclose(scale, 1) or not np.allclose(offset, whole) or (whole < 0).any():
        raise PrototxtError(
            f"{source}: layer '{layer.name}': its first bottom does not lie over the second: a "
            f"coordinate x is at {scale} x + {shift}, where x less a whole number is needed"
        )
    return [int(value) for value in whole]
