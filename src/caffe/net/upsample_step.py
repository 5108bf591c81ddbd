"""A Deconvolution whose top only a Crop reads: what is cut off is not computed.

FCN upsamples with one kernel for each channel, then crops.  In an inference net the Deconvolution's
top is left *deferred* (storage/): it is computed, from the input and the weights of that pass, if
somebody asks.  The Crop's top comes straight from the input: large ones by
:func:`caffe.kernels.upsampling.region`, others by the general operator with a pad that cuts off.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

import torch

from caffe.arithmetic import precision
from caffe.kernels import fused, upsampling
from caffe.layer.crop import Crop
from caffe.layer.deconvolution import Deconvolution
from caffe.net.layer_step import LayerStep
from caffe.net.wiring import Graph
from caffe.storage import Storage

__all__ = ["UpsampleStep", "upsample_steps"]

LEAST_REGION = 1 << 20  # numbers; smaller ones fit the cache, where the general operator is faster


class _Pending(NamedTuple):
    """What a forward pass of the Deconvolution left for the Crop."""

    storage: Storage  # of the top
    version: int | None
    x: torch.Tensor
    kernels: torch.Tensor  # (C, 1, kh, kw)
    filters: upsampling.Filters | None


def upsample_steps(graph: Graph) -> dict[int, UpsampleStep]:
    """The steps of an inference net, by their Deconvolution and by their Crop."""
    readers = graph.readers()
    found: dict[int, UpsampleStep] = {}
    for i, layer in enumerate(graph.layers):
        if type(layer) is not Deconvolution or layer.phase == 0 or not graph.infers(i):
            continue
        if layer.spatial_axes != 2 or layer.channel_axis != 1 or layer.in_place:
            continue
        if len(layer.blobs) != 1 or layer.dilation != [1, 1]:
            continue
        users = readers[graph.tops[i][0]]
        j = users[0] if len(users) == 1 else i
        crop = graph.layers[j]
        if type(crop) is not Crop or not graph.infers(j, most=2):
            continue
        if graph.bottoms[j][0] == graph.tops[i][0] and graph.tops[j][0] not in graph.bottoms[j]:
            found[i] = found[j] = UpsampleStep(graph, i, j)
    return found


class UpsampleStep:
    """Layers ``first``, a Deconvolution, and ``crop`` of a graph."""

    def __init__(self, graph: Graph, first: int, crop: int) -> None:
        self._first, self._crop = first, crop
        self._steps = {k: LayerStep(graph, k) for k in (first, crop)}
        self._layer = cast(Deconvolution, graph.layers[first])
        self._cut = cast(Crop, graph.layers[crop])
        self._bottom, self._middle = graph.bottom(first)[0], graph.top(first)[0]
        self._top = graph.top(crop)[0]
        self._pending: _Pending | None = None

    def run(self, k: int) -> bool:
        """The forward pass of layer ``k``; False, with nothing changed, where the step declines."""
        return self._upsample() if k == self._first else self._cut_out()

    def _upsample(self) -> bool:
        self._pending = None
        storage = self._layer.blobs[0].data_storage
        if self._middle.data_storage.leases or storage.version() is None or precision() != "fp32":
            return False
        weight = self._layer.blobs[0].data_tensor()
        kernels = self._kernels(weight)
        if kernels is None or len(self._bottom.dims) != 4:
            return False
        self._steps[self._first].reshape()
        if not self._middle.count:
            return False
        given = self._bottom.data_tensor()
        x = given.float()
        if x.data_ptr() == given.data_ptr() and not self._bottom.data_storage.lend():
            x = x.clone()
        filters = storage.cached("filters", functools.partial(upsampling.separate, kernels))
        middle = self._middle.data_storage
        middle.defer(functools.partial(self._convolve, x, kernels, self._layer.pad))
        self._pending = _Pending(middle, middle.version(), x, kernels, filters)
        return True

    def _kernels(self, weight: torch.Tensor) -> torch.Tensor | None:
        """A copy of the kernels, one for each channel; None where the weights mix channels."""
        layer, storage = self._layer, self._layer.blobs[0].data_storage
        if layer.group == 1:
            return upsampling.diagonal(weight, storage)
        if layer.group != layer.num_output or weight.shape[1] != 1 or layer.group != len(weight):
            return None
        return storage.cached("kernels", weight.clone)

    def _cut_out(self) -> bool:
        pending, self._pending = self._pending, None
        middle = self._middle.data_storage
        if pending is None or pending.storage is not middle or not middle.deferred:
            return False
        if pending.version != middle.version():
            return False
        self._steps[self._crop].reshape()
        window = self._cut.window
        if window[:2] != (slice(None), slice(None)) or not self._top.count:
            return False
        first = [part.start + p for part, p in zip(window[2:], self._layer.pad)]
        size = [part.stop - part.start for part in window[2:]]
        x, filters, stride = pending.x, pending.filters, self._layer.stride
        if filters is not None and self._top.count >= LEAST_REGION and fused.finite(x):
            self._top.set_data(upsampling.region(x, filters, stride, first, size))
            return True
        # The general operator's pad cuts as much off behind as before; the rest is left out here.
        pad = []
        for n, k, s, p, length in zip(x.shape[2:], pending.kernels.shape[2:], stride, first, size):
            pad.append(min(p, k - 1, s * (n - 1) + k - p - length))
        y = self._convolve(x, pending.kernels, pad)
        for axis in (0, 1):
            y = y.narrow(2 + axis, first[axis] - pad[axis], size[axis])
        self._top.set_data(y)
        return True

    def _convolve(self, x: torch.Tensor, kernels: torch.Tensor, pad: list[int]) -> torch.Tensor:
        layer = self._layer
        return torch.convolution(
            x, kernels, None, layer.stride, pad, layer.dilation, True, [0, 0], len(kernels)
        )
