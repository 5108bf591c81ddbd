"""How Scale and Bias spread a small blob over a large one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from caffe.layer import Layer, Shape


class Broadcast:
    """The geometry of an operand whose axes are those of the bottom from ``axis`` on."""

    def __init__(self, layer: Layer, bottom: Shape, operand: Shape, axis: int) -> None:
        # An operand without axes spreads over everything, whatever the axis says.
        first = layer.axis(axis, len(bottom)) if operand else 0
        if tuple(bottom[first : first + len(operand)]) != tuple(operand):
            raise layer.fail(
                f"the operand {operand} must match the bottom {bottom} from axis {first} on"
            )
        last = first + len(operand)
        self.operand = tuple(operand)
        self.outer = math.prod(bottom[:first])
        self.size = math.prod(operand)
        self.inner = math.prod(bottom[last:])
        self._spread = (*operand, *([1] * (len(bottom) - last)))

    def spread(self, operand: torch.Tensor) -> torch.Tensor:
        """The operand as a view that broadcasts against the bottom."""
        return operand.reshape(self._spread)

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over everything but the operand's axes, in the operand's shape."""
        total = values.reshape(self.outer, self.size, self.inner).sum((0, 2))
        return total.reshape(self.operand)


def learned_shape(layer: Layer, settings: Any, bottom: Shape) -> Shape:
    """The shape of a learned operand: ``num_axes`` axes of the bottom from ``axis`` on, all for
    -1, none (a scalar) for 0."""
    if settings.num_axes < -1:
        raise layer.fail(f"num_axes must be -1, 0 or more, got {settings.num_axes}")
    if settings.num_axes == 0:
        return ()
    first = layer.axis(settings.axis, len(bottom))
    if settings.num_axes == -1:
        return tuple(bottom[first:])
    if first + settings.num_axes > len(bottom):
        raise layer.fail(
            f"num_axes {settings.num_axes} from axis {first} reaches past the bottom {bottom}"
        )
    return tuple(bottom[first : first + settings.num_axes])
