"""Crop: cut a blob to the size of another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Crop")
class Crop(Layer):
    """From ``axis`` (default 2) on, ``bottom[1]``'s size out of ``bottom[0]``; the axes before it
    keep ``bottom[0]``'s.

    ``crop_param.offset``: none (0), one for all cropped axes, or one for each.  ``bottom[1]`` is
    read for its shape alone and gets no gradient.
    """

    any_precision = True
    bottoms = 2

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.crop_param
        ndim = len(bottom_shapes[0])
        self.first = self.axis(p.axis, ndim)
        if len(p.offset) > 1 and len(p.offset) != ndim - self.first:
            raise self.fail(
                f"number of offset values ({len(p.offset)}) must be 1 or the number of cropped "
                f"axes, {ndim - self.first}"
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, reference = bottom_shapes
        offsets = list(self.param.crop_param.offset) or [0]
        if len(offsets) == 1:
            offsets *= len(shape) - self.first
        if len(reference) < len(shape):
            raise self.fail(f"the reference {reference} has fewer axes than the bottom {shape}")
        top = list(shape)
        window = [slice(None)] * self.first
        for axis, offset in enumerate(offsets, self.first):
            size = reference[axis]
            if offset + size > shape[axis]:
                raise self.fail(
                    f"the crop is out of bounds on axis {axis}: offset {offset} and size {size} "
                    f"in a bottom of {shape}; reference {reference}"
                )
            top[axis] = size
            window.append(slice(offset, offset + size))
        self.window = tuple(window)
        return [tuple(top)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0][self.window]]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        if not bottoms[0].is_cpu:  # one launch costs more than the memory it writes in vain
            diff = torch.zeros_like(bottoms[0])
            diff[self.window].copy_(top_diffs[0])
            return [diff, None], []
        diff = torch.empty_like(bottoms[0])
        within = diff  # what is not yet written
        for axis, part in enumerate(self.window):
            if axis >= self.first:
                end = within.shape[axis]
                within.narrow(axis, 0, part.start).zero_()
                within.narrow(axis, part.stop, end - part.stop).zero_()
                within = within.narrow(axis, part.start, part.stop - part.start)
        within.copy_(top_diffs[0])
        return [diff, None], []
