"""Layer types as old forks wrote them, brought to today's names after a net has been parsed.

A present-day ``layer`` may have the name of the old enum as its type (``type: "SOFTMAX"``).  The
other kind, V1 layers of types that only forks had then, is in the enum of our caffe.proto.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from caffe.proto import caffe_pb2
from caffe.prototxt.forks import ForeignFieldWarning

__all__ = ["has_enum_names", "rename_enum_names"]


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
