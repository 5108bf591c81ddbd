"""DataAugmentation: the mean taken off, as nets of FlowNet's that run need it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register

TRAIN = 0


@register("DataAugmentation")
class DataAugmentation(Layer):
    """``augmentation_param`` in TEST: the bottom less a mean that was found in training.

    Parameters with ``recompute_mean``: the number of iterations, the mean picture 1 x C x H x W,
    and the mean of each channel, 1 x C x 1 x 1.  The former is taken off with ``mean_per_pixel``
    (the default) where it has the bottom's size, else the mean of its pixels; the latter without.
    Weights files may hold a mean picture of another size.  Without ``recompute_mean`` there is one
    parameter, the number, and ``mean``, a value for each of three channels, is taken off.

    Not implemented, and refused: crops and the random changes, so a net in TRAIN.  FlowNet's layer
    goes on computing the mean, in TEST too, until it has run ``recompute_mean`` times; this one
    takes what the weights hold.
    """

    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.augmentation_param
        if self.phase == TRAIN:
            raise self.fail(
                "changes pictures at random in training, which is not implemented: leave it out, "
                "and subtract the mean from the input",
                LayerError,
            )
        if p.crop_width or p.crop_height:
            raise self.fail(
                "crop_width and crop_height are not implemented: crop the input", LayerError
            )
        if self.num_bottoms > 1 or len(bottom_shapes[0]) != 4:
            raise self.fail(f"takes one bottom N x C x H x W, got {list(bottom_shapes)}")
        if len(p.mean) not in (0, 3):
            raise self.fail(f"mean needs 3 values, got {len(p.mean)}", LayerError)
        self.add_blob((1, 1, 1, 1))
        if p.recompute_mean:
            self.add_blob((1, *bottom_shapes[0][1:]))
            self.blobs[1].takes_any_shape = True
            self.add_blob((1, bottom_shapes[0][1], 1, 1))

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        known = self.blobs[2].dims[1] if len(self.blobs) > 1 else 3
        if len(shape) != 4 or (shape[1] != known and (len(self.blobs) > 1 or self._given())):
            raise self.fail(f"the mean has {known} channels, the bottom is {shape}")
        return [shape]

    def _given(self) -> list[float]:
        p = self.param.augmentation_param
        return list(p.mean) if not p.mean_per_pixel else []

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if len(params) == 1:
            means = [x.new_full((1, 1, 1, 1), value) for value in self._given()]  # nothing goes up
            return [x - torch.cat(means, 1) if means else x.clone()]
        mean = params[2]
        if self.param.augmentation_param.mean_per_pixel:
            mean = params[1]
            if mean.shape[1:] != x.shape[1:]:
                mean = mean.mean((2, 3), keepdim=True)
        return [x - mean]
