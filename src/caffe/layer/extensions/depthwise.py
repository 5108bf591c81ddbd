"""Depthwise convolution: one group a channel, under the two names it was published with."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Shape, register
from caffe.layer.convolution import Convolution


@register("ConvolutionDepthwise")
class ConvolutionDepthwise(Convolution):
    """A Convolution whose ``group`` is the number of channels: each is filtered on its own.

    ``convolution_param`` as of Convolution.  ``num_output`` is the number of channels where it is
    not given, else a multiple of it; ``group`` need not be given.  Weights: num_output x 1 x
    kernel.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        own = type(self.param)()
        own.CopyFrom(self.param)
        self.param = own  # completed here; the net's description stays as it was written
        p = own.convolution_param
        shape = bottom_shapes[0]
        channels = shape[self.axis(p.axis, len(shape))]
        if p.group not in (1, channels):
            raise self.fail(
                f"is depthwise: group is the number of channels, {channels}, got {p.group}",
                LayerError,
            )
        p.group = channels
        if not p.HasField("num_output"):
            p.num_output = channels
        super().setup(bottom_shapes)


@register("DepthwiseConvolution")
class DepthwiseConvolution(ConvolutionDepthwise):
    """:class:`ConvolutionDepthwise` under its other name."""
