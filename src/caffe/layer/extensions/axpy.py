"""Axpy: one blob times a factor a channel, plus another (SENet)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Layer, Shape, Tensors, register


@register("Axpy")
class Axpy(Layer):
    """``a x + y``: bottoms a (N x C, or N x C x 1 x 1), x and y (N x C x ..., equal shapes)."""

    any_precision = True
    bottoms = 3
    refuses_in_place = True  # the top would overwrite the factors

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        factors, x, y = bottom_shapes
        if tuple(x) != tuple(y):
            raise self.fail(f"x and y must have one shape, got {x} and {y}")
        if len(x) < 2 or tuple(factors[:2]) != tuple(x[:2]) or any(n != 1 for n in factors[2:]):
            raise self.fail(
                f"the factors must be one an item and channel of {x}: {tuple(x[:2])}, with axes of "
                f"1 behind it or not; got {factors}"
            )
        return [tuple(x)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        factors, x, y = bottoms
        return [y.addcmul(factors.reshape(*x.shape[:2], *[1] * (x.ndim - 2)), x)]
