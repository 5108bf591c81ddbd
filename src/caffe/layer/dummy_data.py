"""DummyData: blobs filled by fillers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.errors import LayerError
from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob

_LEGACY = ("num", "channels", "height", "width")


@register("DummyData")
class DummyData(Layer):
    """Tops of fixed shapes.  Constant fillers fill once, when the net is built, so that a user's
    edits stay; every other filler draws anew in each forward pass.

    ``dummy_data_param``: ``data_filler`` none (zeros), one for all tops, or one for each; ``shape``
    (or the legacy num, channels, height, width) one for all tops or one for each.
    """

    graphable = False
    bottoms = 0
    tops = (1, None)

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        from caffe.filler import fill
        from caffe.proto import caffe_pb2

        p = self.param.dummy_data_param
        self._check_count("data_filler", len(p.data_filler), len(top), optional=True)
        fillers = list(p.data_filler) or [caffe_pb2.FillerParameter()]
        self.fillers = [fillers[i if len(fillers) > 1 else 0] for i in range(len(top))]
        for i, (blob, filler) in enumerate(zip(top, self.fillers)):
            blob.set_dims(self._shape(p, i, len(top)))
            if filler.type == "constant":
                fill(blob.data, filler)

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the shapes are fixed."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        from caffe.filler import fill

        for blob, filler in zip(top, self.fillers):
            if filler.type != "constant":
                values = np.empty(blob.dims, np.float32)
                fill(values, filler)
                blob.set_host_data(values)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""

    def _shape(self, p: Any, index: int, count: int) -> list[int]:
        legacy = [list(getattr(p, field)) for field in _LEGACY]
        if not any(legacy):
            self._check_count("shape", len(p.shape), count)
            return list(p.shape[index if len(p.shape) > 1 else 0].dim)
        if p.shape:
            raise self.fail("give either 'shape' or num, channels, height, width", LayerError)
        for field, values in zip(_LEGACY, legacy):
            self._check_count(field, len(values), count)
        return [values[index if len(values) > 1 else 0] for values in legacy]

    def _check_count(self, field: str, got: int, tops: int, optional: bool = False) -> None:
        if got not in (1, tops) and not (optional and got == 0):
            raise self.fail(
                f"needs one '{field}', or one for each of its {tops} tops: got {got}", LayerError
            )
