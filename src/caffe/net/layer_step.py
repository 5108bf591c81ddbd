"""One layer of a net as its passes run it: nothing is found out again that has not changed."""

from __future__ import annotations

import numpy as np
import torch

from caffe.errors import Error, name_in
from caffe.layer import Layer
from caffe.net.replay import Loss
from caffe.net.wiring import Graph

__all__ = ["LayerStep", "plus"]


class LayerStep:
    """Layer ``i`` of a graph.

    The shapes of the tops are found anew where those of the bottoms, the tops or the parameters
    have changed, and always for a layer that reads, runs user code or shares memory.

    Attributes:
        layer, bottom, top: the layer and its blobs.
    """

    def __init__(self, graph: Graph, i: int) -> None:
        self.layer = layer = graph.layers[i]
        self.bottom, self.top = graph.bottom(i), graph.top(i)
        self._losses = [b for b, w in zip(self.top, graph.loss_weights[i]) if w]
        self._blobs = self.bottom + self.top
        kind = type(layer)
        shares = kind.reshape_blobs is not Layer.reshape_blobs
        self._lasting = layer.graphable and bool(self.bottom) and not shares
        self._announces = kind.before_forward is not Layer.before_forward
        self._shapes: list[tuple[int, ...]] | None = None

    def forward(self, announced: bool = False) -> Loss | None:
        """The layer's forward pass; the weighted loss of its tops, None where they have none.

        With ``announced`` the host's part of the pass has been done.
        """
        layer = self.layer
        try:
            self.reshape()
            if self._announces and not announced:
                layer.before_forward(self.bottom)
            layer.forward_blobs(self.bottom, self.top)
        except Error as error:
            name_in(error, layer)
            raise
        return self._loss() if self._losses else None

    def reshape(self) -> None:
        """Give the tops their shapes."""
        if not self._lasting:
            self.layer.reshape_blobs(self.bottom, self.top)
        elif self._shapes != self._present_shapes():
            self._shapes = None
            self.layer.reshape_blobs(self.bottom, self.top)
            self._shapes = self._present_shapes()

    def _present_shapes(self) -> list[tuple[int, ...]]:
        shapes = [blob.dims for blob in self._blobs]
        if self.layer.blobs:
            shapes += [blob.dims for blob in self.layer.blobs]
        return shapes

    def _loss(self) -> Loss:
        total: Loss = np.float32(0)
        for blob in self._losses:
            if not blob.dims and blob.data_tensor().is_cpu:
                loss, weight = blob.data_tensor().item(), blob.diff_tensor().item()
                total = plus(total, np.float32(loss) * np.float32(weight))
                continue
            product = (blob.data_tensor() * blob.diff_tensor()).sum()
            total = plus(total, np.float32(product.item()) if product.is_cpu else product)
        return total


def plus(total: Loss, term: Loss | None) -> Loss:
    """The sum, in float32; of a number and a tensor a tensor; None counts nothing."""
    if term is None:
        return total
    if isinstance(term, torch.Tensor):
        if isinstance(total, torch.Tensor):
            return total + term
        return term + float(total) if total else term
    if isinstance(total, torch.Tensor):
        return total + float(term) if term else total
    return np.float32(total + term)
