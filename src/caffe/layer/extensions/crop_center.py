"""CropCenter: as much cut off at both ends of an axis (waifu2x)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("CropCenter")
class CropCenter(Layer):
    """``crop_center_param.crop_size``: for each axis of the bottom, how much is cut off at its
    beginning and at its end."""

    any_precision = True
    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.cut = list(self.param.crop_center_param.crop_size)
        if len(self.cut) != len(bottom_shapes[0]):
            raise self.fail(
                f"needs one crop_size for each of the {len(bottom_shapes[0])} axes of the bottom "
                f"{bottom_shapes[0]}, got {self.cut}",
                LayerError,
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != len(self.cut) or any(n <= 2 * cut for n, cut in zip(shape, self.cut)):
            raise self.fail(f"crop_size {self.cut} on both sides leaves nothing of {shape}")
        return [tuple(n - 2 * cut for n, cut in zip(shape, self.cut))]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        return [x[tuple(slice(cut, n - cut) for n, cut in zip(x.shape, self.cut))]]
