"""Reading kernel sizes, strides and pads, which prototxts write in two styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe.errors import LayerError

if TYPE_CHECKING:
    from caffe.layer import Layer


def height_width(layer: Layer, settings: Any, field: str, names: Sequence[str]) -> list[int] | None:
    """The values of the 2-D style (``stride_h``, ``stride_w``), None where neither is set."""
    if not any(settings.HasField(n) for n in names):
        return None
    general = getattr(settings, field)
    repeated = not isinstance(general, int)
    if len(general) if repeated else settings.HasField(field):
        raise layer.fail(f"give either {field} or {names[0]} and {names[1]}, not both", LayerError)
    return [getattr(settings, n) for n in names]


def require_positive(layer: Layer, what: str, values: Sequence[int]) -> None:
    """Raise where one of ``values`` is 0."""
    if any(v <= 0 for v in values):
        raise layer.fail(f"{what} must be positive on every axis, got {list(values)}", LayerError)
