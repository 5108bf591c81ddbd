"""ContinuationIndicator: where sequences begin, for recurrent layers (nets that read text)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.layer import Layer, Shape, register


@register("ContinuationIndicator")
class ContinuationIndicator(Layer):
    """``continuation_indicator_param``: ``time_step`` x ``batch_size``, 0 in the first step of each
    sequence and 1 in all others: the ``cont`` of an LSTM."""

    bottoms = 0
    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.continuation_indicator_param
        self.shape = (p.time_step, p.batch_size)
        if min(self.shape) < 1:
            raise self.fail(
                f"time_step and batch_size must be positive, got {p.time_step} and {p.batch_size}",
                LayerError,
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [self.shape]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        cont = torch.ones(self.shape, device=top[0].data_tensor().device)
        cont[0] = 0
        top[0].set_data(cont)
