"""Where a Crop takes its window, in nets that leave the offset to the program.

In the first FCN files (longjon's branch of 2014, V1 layers of type CROP) and its relatives of 2015
a Crop has no offset, and finds out by itself where its first bottom lies over the second.  BVLC's
Crop does not: without an offset it cuts from the corner, 5, 9 or 31 pixels beside the image in
FCN-8s.  Here the offset is computed by the rule of :mod:`caffe.coord_map`: for V1's CROP always,
for today's Crop on request, and otherwise a warning says what it would be.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from caffe.errors import PrototxtError
from caffe.prototxt.forks import ForeignFieldWarning

__all__ = ["CropOffsetWarning", "check_crops", "fix_crops", "set_crop_offsets"]


class CropOffsetWarning(UserWarning):
    """A Crop without an offset whose bottoms do not begin at the same pixel."""


_PARAM = {
    "Convolution": "convolution_param",
    "Crop": "crop_param",
    "Deconvolution": "convolution_param",
    "Im2col": "convolution_param",
    "Pooling": "pooling_param",
}


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


def _with_inputs(net: Any) -> Iterator[tuple[Any, list[_Top]]]:
    """Each layer with its bottoms as coord_map sees them; an offset set meanwhile counts."""
    tops: dict[str, _Top] = {}
    for layer in net.layer:
        inputs = [tops[name] for name in layer.bottom if name in tops]
        yield layer, inputs
        fn = _Function(layer, inputs)
        tops.update((name, _Top(fn)) for name in layer.top)


def set_crop_offsets(net: Any, crops: set[int], source: str) -> None:
    """Sets ``crop_param`` of the layers of these numbers so that the pixels of their bottoms lie
    over each other, in place, with one warning for all.

    Raises:
        PrototxtError: the bottoms' coordinates have no such offset.
    """
    told = []
    for number, (layer, inputs) in enumerate(_with_inputs(net)):
        if number in crops and len(inputs) == 2:
            layer.crop_param.offset.extend(_offset(inputs, layer, source))
            told.append(f"'{layer.name}' offset {', '.join(map(str, layer.crop_param.offset))}")
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


def _misplaced(net: Any, source: str) -> list[tuple[int, list[int]]]:
    """The numbers of the Crop layers that name no offset though theirs is not 0, and the offset.

    It holds where those before it are set, which move what follows.
    """
    if not any(layer.type == "Crop" and not layer.crop_param.offset for layer in net.layer):
        return []
    fixed = type(net)()
    fixed.CopyFrom(net)
    found = []
    for number, (layer, inputs) in enumerate(_with_inputs(fixed)):
        p = layer.crop_param
        if layer.type == "Crop" and len(inputs) == 2 and not p.offset and p.axis in (2, -2):
            try:
                offset = _offset(inputs, layer, source)
            except PrototxtError:  # the bottoms do not lie over each other in this way
                continue
            if any(offset):
                p.offset.extend(offset)
                found.append((number, offset))
    return found


def _line(offset: Sequence[int]) -> str:
    return "crop_param { " + " ".join(f"offset: {value}" for value in offset) + " }"


def check_crops(net: Any, source: str) -> None:
    """Warn once where Crops without an offset would need one.  ``net`` has today's format."""
    found = [f"layer '{net.layer[n].name}': {_line(o)}" for n, o in _misplaced(net, source)]
    if found:
        warnings.warn(
            f"{source}: {len(found)} Crop layer(s) name no offset, so they cut from the corner, as "
            "in BVLC Caffe. By the layers between their bottoms the pixels lie over each other "
            f"with another offset: {'; '.join(found)}. Write it into the prototxt, or let it be "
            "set: caffe.Net(..., fix_crops=True), upgrade_net_proto_text --fix-crops.",
            CropOffsetWarning,
            stacklevel=4,
        )


def fix_crops(net: Any, source: str) -> list[str]:
    """Sets these offsets, in place; returns ``layer: crop_param {...}`` of each."""
    found = _misplaced(net, source)
    for number, offset in found:
        net.layer[number].crop_param.offset.extend(offset)
    return [f"{net.layer[number].name}: {_line(offset)}" for number, offset in found]
