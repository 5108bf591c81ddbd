"""BatchNorm, the Scale in place after it, and what follows as one step, forward and backward, on
the CPU: what every net with batch normalisation trains with.

What follows is a sum with another blob (Eltwise), a ReLU or ReLU6 in place, a Split for two
readers, or some of these in this order (norm_forms.py).  Each direction is one call: of the native
kernels (native/norm.py), or else of PyTorch's batch normalisation with weights (kernels/norm.py).
The input is kept where the layers by themselves keep two copies of what lies between them.  What is
not computed, the blob before the sum and gradients that the layers leave between them, is
*deferred* (storage/): computed when somebody asks.

:meth:`NormStep.settle` gives the layers the state that they have by themselves, for whoever runs
one of them alone.  The step declines where somebody holds an array of what it leaves out, or has
changed what the gradient is made of since the forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from caffe.errors import naming
from caffe.kernels import norm as kernels
from caffe.layer import Need
from caffe.layer.batch_norm import BatchNorm
from caffe.layer.scale import Scale
from caffe.net.norm_forms import Form, norm_forms
from caffe.net.wiring import Graph

__all__ = ["NormStep", "norm_steps"]


class _State(NamedTuple):
    """What backward needs of a forward pass."""

    normal: kernels.Normal
    versions: list[int | None]  # of what may not change until then


class NormStep:
    """Layers ``first``, a BatchNorm, ``first + 1``, a Scale of its top in place, and what follows.

    Attributes:
        end: the layer after the last.
    """

    def __init__(self, graph: Graph, form: Form) -> None:
        first = form.first
        self.first, self.end, self._form = first, form.end, form
        self._graph = graph
        self._norm = cast(BatchNorm, graph.layers[first])
        self._scale = cast(Scale, graph.layers[first + 1])
        self._bottom = graph.blobs[graph.bottoms[first][0]]
        self._top = graph.blobs[graph.tops[first][0]]
        self._out = graph.blobs[form.out]
        self._split = graph.layers[form.end - 1] if form.splits else None
        self._readers = graph.top(form.end - 1) if form.splits else [self._out]
        self._other = None if form.other is None else graph.blobs[form.other]
        self._in_place = self._bottom is self._top
        self._blobs = [b for b in (self._bottom, self._top, self._other, self._out) if b]
        self._shapes: list[tuple[int, ...]] = []
        self._state: _State | None = None
        self._last: kernels.Backward | None = None  # the backward pass, if it has run

    def run(self) -> bool:
        """The forward pass; False, with nothing changed, where the step declines."""
        if self._shapes != [blob.dims for blob in self._blobs]:
            self._reshape()
        norm, scale, other = self._norm, self._scale, self._other
        if len(self._top.dims) != 4 or self._top.count < 2 * norm.channels:
            return False
        if other is not None and self._top.data_storage.leases:
            return False
        self._state = self._last = None
        x = self._bottom.data_tensor()
        added = None if other is None else other.data_tensor()
        if x.dtype is not torch.float32 or (added is not None and added.dtype is not x.dtype):
            return False
        if not self._bottom.data_storage.lend():
            x = x.clone()
        weight, *rest = (blob.data_tensor() for blob in scale.blobs)
        y, normal = kernels.forward(
            x,
            weight,
            rest[0] if rest else None,
            [blob.data_tensor() for blob in norm.blobs],
            norm.eps,
            None if norm.use_global else norm.decay,
            self._form.act,
            added,
        )
        if not norm.use_global:
            for blob in norm.blobs:
                blob.touch_data()
        self._out.set_data(y)
        if self._split is not None:
            self._split.forward_blobs([self._out], self._readers)
        if other is not None:
            self._top.data_storage.defer(normal.scaled)
        self._state = _State(normal, self._versions())
        norm.inverse = norm.normal = scale.saved = None  # see _is_current
        return True

    def _reshape(self) -> None:
        graph = self._graph
        for i in range(self.first, self.end):
            with naming(graph.layers[i]):
                graph.layers[i].reshape_blobs(graph.bottom(i), graph.top(i))
        self._shapes = [blob.dims for blob in self._blobs]

    def _versions(self) -> list[int | None]:
        blobs = [self._scale.blobs[0], *((self._out,) if self._form.act else ())]
        return [blob.data_storage.version() for blob in blobs]

    def backward(self, needs: Sequence[Need]) -> bool:
        """The backward pass; False, with nothing changed, where the step declines.

        ``needs`` are those of all layers of the net.
        """
        state, out, form = self._state, self._out, self._form
        if state is None or self._last is not None or not self._is_current():
            return False
        if None in state.versions or state.versions != self._versions():
            return False
        normal, need = state.normal, needs[self.first + 1]
        if not need.bottoms[0] or out.diff_storage.leases or out.dims != normal.x.shape:
            return False
        if form.splits and not needs[self.end - 1].bottoms[0]:
            return False
        passes = False
        if form.other is not None:
            to_sum = needs[self.first + 2].bottoms
            passes = to_sum[1 - form.place]
            if not to_sum[form.place] or self._top.diff_storage.leases:
                return False
        y = None
        if normal.needs_result:
            if not out.data_storage.lend():
                return False
            y = out.data_tensor()
        given = self._given()
        if given is None:
            return False
        last = normal.backward(given, y, passes)
        self._last = last
        self._give_params(need, last)
        self._give_blobs(last)
        return True

    def _given(self) -> list[torch.Tensor] | None:
        """The gradients of the readers, which are to be added; None where they are not to be."""
        stays = self._form.splits or (self._other is not None and self._form.act is None)
        found = []
        for blob in self._readers:
            storage = blob.diff_storage
            if self._form.splits and storage.is_zero:  # its reader does not propagate back
                return None
            given = blob.diff_tensor()
            if given.dtype is not torch.float32:
                return None
            if stays and not storage.lend():
                given = given.clone()  # it stays in the blob, where a user may write to it
            found.append(given)
        return found

    def _give_params(self, need: Need, last: kernels.Backward) -> None:
        scale = self._scale
        for i, gradient in enumerate((last.scale, last.shift)[: len(scale.blobs)]):
            if need.params[i]:
                if scale.overwrites_param_diff(i):
                    scale.blobs[i].set_diff(gradient)
                else:
                    scale.blobs[i].add_diff(gradient)

    def _give_blobs(self, last: kernels.Backward) -> None:
        """What the layers by themselves leave in the blobs' diffs."""
        if self._other is not None:
            if last.passed is not None:
                self._other.set_diff(last.passed)
        changed = self._form.act is not None or self._split is not None
        if changed and self._out is not self._top:
            self._out.diff_storage.defer(last.through)
        if not self._in_place:
            # The Scale by itself leaves its bottom's gradient there.
            factor = self._scale.blobs[0].data_tensor().clone().view(-1, 1, 1)
            self._top.diff_storage.defer(lambda: last.through() * factor)
        self._bottom.set_diff(last.x)

    def settle(self) -> None:
        """Give the layers the state of the last passes that they have by themselves."""
        state = self._state
        if state is None or not self._is_current():
            return
        self._state = None
        inverse, normal = state.normal.inverse, state.normal.values()
        self._norm.inverse = inverse
        self._norm.normal = None if state.normal.stored else normal
        # A backward pass leaves the gradient times it in the Scale, as Caffe's does.
        last = self._last
        self._scale.saved = normal.clone() if last is None else normal * last.through()

    def _is_current(self) -> bool:
        """False where one of the layers has run alone since: it then has a state of its own."""
        return self._norm.inverse is None and self._scale.saved is None


def norm_steps(graph: Graph) -> dict[int, NormStep]:
    """The steps of a graph, by their first layer."""
    return {form.first: NormStep(graph, form) for form in norm_forms(graph)}
