"""BatchNorm and the Scale in place after it as one pass over the blob, forward and backward, on the
CPU: what every net with batch normalisation trains with.

Forward is one call of PyTorch's batch normalisation with weights; so is backward, which gives the
gradients of the bottom, the scale and the bias.  The input is kept where the two layers by
themselves keep two copies of what lies between them.  :meth:`NormStep.settle` gives the layers the
state that they have by themselves, for whoever runs one of them alone.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch

from caffe.errors import naming
from caffe.layer import Need
from caffe.layer.batch_norm import BatchNorm
from caffe.layer.scale import Scale
from caffe.net.wiring import Graph

__all__ = ["NormStep", "norm_steps"]

aten = torch.ops.aten


class _State(NamedTuple):
    """What backward needs of a forward pass."""

    x: torch.Tensor
    mean: torch.Tensor
    spread: torch.Tensor  # 1 / sqrt(variance + eps); the variance where the statistics are stored
    stored: bool


class _Stored(NamedTuple):
    """Mean and variance, from parameters of these versions."""

    versions: list[int | None]
    mean: torch.Tensor
    variance: torch.Tensor


class NormStep:
    """Layers ``first``, a BatchNorm, and ``first + 1``, a Scale of its top in place.

    Attributes:
        end: the layer after the two.
    """

    def __init__(self, graph: Graph, first: int) -> None:
        self.first, self.end = first, first + 2
        self._norm = cast(BatchNorm, graph.layers[first])
        self._scale = cast(Scale, graph.layers[first + 1])
        self._bottom = graph.blobs[graph.bottoms[first][0]]
        self._top = graph.blobs[graph.tops[first][0]]
        self._in_place = self._bottom is self._top
        self._shapes: tuple[tuple[int, ...], ...] = ()
        self._state: _State | None = None
        self._stored: _Stored | None = None
        self._last_diff: torch.Tensor | None = None  # what backward came with, if it has run

    def run(self) -> bool:
        """The forward pass of both; False, with nothing changed, where the step declines."""
        dims = self._bottom.dims, self._top.dims
        if self._shapes != dims:
            for layer, bottom in ((self._norm, self._bottom), (self._scale, self._top)):
                with naming(layer):
                    layer.reshape_blobs([bottom], [self._top])
            self._shapes = self._bottom.dims, self._top.dims
        norm, scale = self._norm, self._scale
        if len(self._top.dims) != 4 or self._top.count < 2 * norm.channels:
            return False
        self._state = self._last_diff = None
        x = self._bottom.data_tensor()
        if x.dtype is not torch.float32:
            return False
        if not self._bottom.data_storage.lend():
            x = x.clone()
        weight, *rest = (blob.data_tensor() for blob in scale.blobs)
        bias = rest[0] if rest else None
        if norm.use_global:
            mean, variance = self._statistics()
            y = aten.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, norm.eps)[0]
            state = _State(x, mean, variance, True)
        else:
            mean_sum, variance_sum, number = (blob.data_tensor() for blob in norm.blobs)
            mean, variance = torch.zeros(norm.channels), torch.zeros(norm.channels)
            y, saved_mean, inverse = aten.native_batch_norm(
                x, weight, bias, mean, variance, True, 1.0, norm.eps
            )
            number.mul_(norm.decay).add_(1)
            mean_sum.mul_(norm.decay).add_(mean)
            variance_sum.mul_(norm.decay).add_(variance)  # times m / (m - 1), as Caffe's
            for blob in norm.blobs:
                blob.touch_data()
            state = _State(x, saved_mean, inverse, False)
        self._top.set_data(y)
        self._state = state
        norm.inverse = norm.normal = scale.saved = None  # see _is_current
        return True

    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The stored mean and variance; made anew where a parameter may have changed."""
        blobs = self._norm.blobs
        versions = [blob.data_storage.version() for blob in blobs]
        known = self._stored
        if known is None or known.versions != versions or None in versions:
            mean_sum, variance_sum, number = (blob.data_tensor() for blob in blobs)
            factor = torch.where(number == 0, 0.0, 1 / number)
            known = self._stored = _Stored(versions, mean_sum * factor, variance_sum * factor)
        return known.mean, known.variance

    def backward(self, norm_need: Need, scale_need: Need) -> bool:
        """The backward pass of both; False, with nothing changed, where the step declines."""
        state, top = self._state, self._top
        if state is None or self._last_diff is not None or not self._is_current():
            return False
        if not scale_need.bottoms[0] or top.diff_storage.leases or top.dims != state.x.shape:
            return False
        scale, norm = self._scale, self._norm
        last = state.x.stride(1) == 1
        layout = torch.channels_last if last else torch.contiguous_format
        given = top.diff_tensor()
        g = given.contiguous(memory_format=layout)
        if g.dtype is not torch.float32:
            return False
        weight = scale.blobs[0].data_tensor()
        has_bias = len(scale.blobs) > 1
        mask = [True, scale_need.params[0], has_bias and scale_need.params[1]]
        stored = state.stored
        dx, dw, db = aten.native_batch_norm_backward(
            g,
            state.x,
            weight,
            state.mean if stored else None,
            state.spread if stored else None,
            None if stored else state.mean,
            None if stored else state.spread,
            not stored,
            norm.eps,
            mask,
        )
        for i, gradient in enumerate((dw, db)):
            if mask[i + 1]:
                if scale.overwrites_param_diff(i):
                    scale.blobs[i].set_diff(gradient)
                else:
                    scale.blobs[i].add_diff(gradient)
        self._last_diff = g
        if not self._in_place:
            # The Scale by itself leaves its bottom's gradient there.
            factor = weight.clone().view(-1, 1, 1)
            top.diff_storage.defer(lambda: g * factor)
        self._bottom.set_diff(dx)
        return True

    def settle(self) -> None:
        """Give the layers the state of the last passes that they have by themselves."""
        state = self._state
        if state is None or not self._is_current():
            return
        self._state = None
        stored, inverse = state.stored, state.spread
        if stored:
            inverse = (inverse + self._norm.eps).rsqrt_()
        normal = (state.x - state.mean.view(-1, 1, 1)).mul_(inverse.view(-1, 1, 1))
        self._norm.inverse = inverse
        self._norm.normal = None if stored else normal
        # A backward pass leaves the gradient times it in the Scale, as Caffe's does.
        last = self._last_diff
        self._scale.saved = normal.clone() if last is None else normal * last

    def _is_current(self) -> bool:
        """False where one of the layers has run alone since: it then has a state of its own."""
        return self._norm.inverse is None and self._scale.saved is None


def norm_steps(graph: Graph) -> dict[int, NormStep]:
    """The steps of a graph, by their first layer."""
    return {i: NormStep(graph, i) for i in range(len(graph.layers) - 1) if _is_pair(graph, i)}


def _is_pair(graph: Graph, i: int) -> bool:
    norm, scale = graph.layers[i : i + 2]
    if type(norm) is not BatchNorm or type(scale) is not Scale or not scale.learned:
        return False
    if not graph.bottoms[i + 1] == graph.tops[i + 1] == graph.tops[i]:
        return False
    if any(graph.loss_weights[i]) or any(graph.loss_weights[i + 1]):
        return False
    axis = scale.param.scale_param.axis
    return axis in (1, -3) and scale.blobs[0].dims == (norm.channels,)
