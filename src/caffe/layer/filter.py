"""Filter: the items of a batch that a selector marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from caffe.device import current
from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Tensors, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Filter")
class Filter(Layer):
    """Of every bottom but the last, the items whose selector is not 0; the last bottom is the
    selector, N x 1 x ....  There is a top for each of the others.

    The tops' batch size therefore depends on data: it is read when the tops are reshaped, 0 where
    nothing is selected.  When the net is built the tops have the bottoms' full shapes.  The
    gradient of an item that was left out is 0.  The selector has none: asking for it, as
    ``force_backward`` does, is an error, as in Caffe.
    """

    graphable = False
    bottoms = (2, None)
    tops = (1, None)
    refuses_in_place = True  # BVLC accepts it: the bottom then shrinks before it is read

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        if len(top) != len(bottom) - 1:
            raise self.fail(
                f"needs one top for each bottom but the selector: got {len(bottom)} bottoms and "
                f"{len(top)} top(s)",
                LayerError,
            )
        self.built = False

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        selector = bottom[-1].dims
        if not selector or any(n != 1 for n in selector[1:]):
            raise self.fail(
                f"the selector (bottom {len(top)}) must be N x 1 x ..., one value an item: "
                f"got {selector}"
            )
        for i, blob in enumerate(bottom[:-1]):
            if blob.dims[:1] != selector[:1]:
                raise self.fail(
                    f"each bottom must have as many items as the selector: bottom {i} is "
                    f"{blob.dims}, the selector {selector}"
                )
        self.kept = self._selected(bottom[-1])
        count = len(self.kept) if self.built else selector[0]
        self.built = True
        for blob, source in zip(top, bottom):
            blob.set_dims((count, *source.dims[1:]))

    def _selected(self, selector: Blob) -> torch.Tensor:
        """The items to keep; the host waits for the device only where that alone knows them."""
        host = selector.host_data()
        if host is None:
            return selector.data_tensor().reshape(-1).nonzero().flatten()
        return current().upload(host.nonzero()[0])

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [x.index_select(0, self.kept) for x in bottoms[:-1]]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if need.bottoms[-1]:
            raise self.fail(
                f"cannot propagate down to the selector (bottom {len(tops)})", LayerError
            )
        diffs: MaybeTensors = [None] * len(bottoms)
        for i, (x, g) in enumerate(zip(bottoms, top_diffs)):
            if need.bottoms[i]:
                # Before the first forward pass the top is longer than what is kept.
                diffs[i] = torch.zeros_like(x).index_copy_(0, self.kept, g[: len(self.kept)])
        return diffs, []
