"""Reorg: squares of pixels into channels (YOLO v2)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Reorg")
class Reorg(Layer):
    """N x C x H x W to N x (C s^2) x (H / s) x (W / s), with s = ``reorg_param.stride``, in the
    order of Darknet, for which its weights were trained.

    That order is not one square of pixels after the other: the numbers of an item, as they lie in
    memory, are taken for C / s^2 channels of H s x W s; pixel (y, x) of each s x s square there
    makes a map of H x W, and the maps follow each other by (y, x), then by channel.

    With ``reverse``, N x C x H x W to N x (C / s^2) x (H s) x (W s): the channel
    ``(y s + x) C / s^2 + c`` becomes the pixels (y, x) of the squares of channel c.
    """

    any_precision = True
    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.reorg_param
        self.stride, self.reverse = p.stride, p.reverse
        if self.stride < 1:
            raise self.fail(f"stride must be positive, got {self.stride}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, s = bottom_shapes[0], self.stride
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        n, c, h, w = shape
        if c % s**2:
            raise self.fail(f"the channels must be a multiple of stride^2 = {s**2}, got {shape}")
        if self.reverse:
            return [(n, c // s**2, h * s, w * s)]
        if h % s or w % s:
            raise self.fail(f"height and width must be multiples of stride {s}, got {shape}")
        return [(n, c * s**2, h // s, w // s)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, s = bottoms[0].contiguous(), self.stride
        n, c, h, w = x.shape
        if self.reverse:
            maps = x.view(n, s, s, c // s**2, h, w)
            return [maps.permute(0, 3, 4, 1, 5, 2).reshape(n, c // s**2, h * s, w * s)]
        squares = x.view(n, c // s**2, h, s, w, s)
        return [squares.permute(0, 3, 5, 1, 2, 4).reshape(n, c * s**2, h // s, w // s)]
