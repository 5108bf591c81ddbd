"""Input: blobs that the user fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.errors import LayerError
from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Input")
class Input(Layer):
    """Tops of the shapes given, once; forward leaves what the user wrote.

    ``input_param.shape``: none (the user reshapes the blobs), one for all tops, or one for each.
    """

    bottoms = 0
    tops = (1, None)

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        shapes = self.param.input_param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.fail(
                f"must specify 'shape' once, once per top blob, or not at all: got "
                f"{len(shapes)} shapes for {len(top)} tops",
                LayerError,
            )
        for i, blob in enumerate(top):
            if shapes:
                blob.set_dims(shapes[i if len(shapes) > 1 else 0].dim)
            else:
                blob.leave_unallocated()

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the user may have reshaped the tops."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the user fills the tops."""

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""
