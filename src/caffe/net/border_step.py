"""Runs the layers after a wide padding on a GPU with the rows and columns that are alike computed
once (kernels/border.py says which): FCN's pad of 100 makes 698 rows of 500, of which 184 are alike.

The layers are convolutions, their ReLUs in place and max poolings, one after the other, and nobody
else reads what lies between them.  What lies between them is not made: its storages know how to
spread the short maps (``Storage.defer``) and do it when somebody asks.  Their gradients are known
added up alone; who asks for one gets it from a pass over the whole maps, from copies of the input
and the weights, in float32.

Backward follows forward's short maps while nobody has looked between the layers.  Else, and where
a range of layers begins or ends inside, the layers run one by one, as everywhere.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch

from caffe.device import current
from caffe.errors import naming
from caffe.kernels import border
from caffe.kernels.border import Axis
from caffe.layer import Need
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.border_forms import Form, Link, Part, chain, form_of
from caffe.net.wiring import Graph

__all__ = ["BorderStep", "border_steps"]

_MOST_SIZES = 1024  # of inputs: CUDA graphs read what is kept for each, so none is forgotten
aten = torch.ops.aten


class _Kept(NamedTuple):
    """What backward needs of a forward pass; kept by the first layer, so that a CUDA graph of the
    backward pass knows whose forward pass it belongs to."""

    top: torch.Tensor
    inputs: tuple[torch.Tensor, ...]  # of each part
    outputs: tuple[torch.Tensor, ...]
    places: tuple[torch.Tensor | None, ...]  # of poolings' maxima
    promises: tuple[Callable[[], torch.Tensor], ...]  # what the blobs between were left with
    form: tuple[Any, ...]


class BorderStep:
    """The layers from ``first`` on, as many as the padding reaches in a map of the input's size.

    Attributes:
        end: the layer after the last, of the last forward pass.
    """

    def __init__(self, graph: Graph, links: list[Link]) -> None:
        self.first, self.end = links[0].place, links[-1].end
        self._graph = graph
        self._links = links
        self._bottom = graph.blobs[graph.bottoms[self.first][0]]
        self._tops = [graph.blobs[graph.tops[link.place][0]] for link in links]
        self._conv = cast(Convolution, links[0].layer)
        self._needs_backward = any(graph.layer_needs_backward[self.first : self.end])
        self._forms: dict[tuple[Any, ...], Form | None] = {}

    # Forward --------------------------------------------------------------------------------------

    def announce_forward(self) -> None:
        """Called before every forward pass, and before a CUDA graph is looked for."""
        self._conv.variant = None

    def run(self, last: int) -> bool:
        """The forward pass; False, with no blob changed, where it gains nothing or goes beyond the
        layer ``last``."""
        form = self._form()
        if form is None:
            self._conv.short = None
            return False
        if form.parts[-1].link.end - 1 > last:
            return False
        self.end = form.parts[-1].link.end
        self._reshape(form)
        self._conv.short = None
        x = self._bottom.data_tensor()
        inputs, outputs, places = [], [], []
        for part in form.parts:
            if part.into is not None:
                x = border.spread(x, *part.into)
            inputs.append(x)
            x = _forward(part, x)
            outputs.append(x)
            places.append(part.layer.index if isinstance(part.layer, Pooling) else None)
        top = border.spread(x, *form.out)
        self._tops[len(form.parts) - 1].set_data(top)
        promises = []
        for part, blob, short in zip(form.parts[:-1], self._tops, outputs):
            promise = functools.partial(_whole, short, part.axes)
            blob.data_storage.defer(promise)
            promises.append(promise)
        for part in form.parts:
            if isinstance(part.layer, Pooling):
                part.layer.index = cast(Pooling, part.link.layer).index = None
        if self._needs_backward:
            kept = tuple(inputs), tuple(outputs), tuple(places), tuple(promises)
            self._conv.short = _Kept(top, *kept, (form,))
        return True

    def _reshape(self, form: Form) -> None:
        layers = range(self.first, self.end)
        tops = [self._graph.blobs[self._graph.tops[i][0]] for i in layers]
        if [blob.dims for blob in tops] == form.shapes:
            return
        for i in layers:
            with naming(self._graph.layers[i]):
                self._graph.layers[i].reshape_blobs(self._graph.bottom(i), self._graph.top(i))

    # Backward -------------------------------------------------------------------------------------

    def announce_backward(self) -> None:
        """Say whether the backward pass will follow the short maps; CUDA graphs tell by that."""
        self._conv.variant = None if self._conv.short is None or self._is_untouched() else "apart"

    def ends_with(self, k: int) -> bool:
        """Whether layer ``k`` is the last that the forward pass took."""
        kept = self._conv.short
        return kept is not None and kept.form[0].parts[-1].link.end - 1 == k

    def backward(self, last: int, needs: Sequence[Need]) -> bool:
        """The backward pass of what the forward pass did; False, with nothing changed, where the
        step declines or would go beyond the layer ``last``."""
        kept = self._conv.short
        if kept is None or last > self.first or not self._is_untouched():
            return False
        form: Form = kept.form[0]
        top = self._tops[len(form.parts) - 1].diff_tensor()
        wanted = [p for p in form.parts if self._graph.layer_needs_backward[p.link.place]]
        if wanted:
            self._promise_diffs(form, wanted[0].link.place, top)
            g = border.fold(top.to(kept.outputs[-1].dtype), *form.out)
            for k in range(len(form.parts) - 1, len(form.parts) - 1 - len(wanted), -1):
                part = form.parts[k]
                g = self._backward_part(form.parts, kept, k, g, needs[part.link.place])
                if part.into is not None and k > len(form.parts) - len(wanted):
                    g = border.fold(g, *part.into)
        return True

    def _backward_part(
        self, parts: list[Part], kept: _Kept, k: int, g: torch.Tensor, need: Need
    ) -> torch.Tensor:
        """Add to the diffs of the part's parameters; the gradient of its input, if it has one."""
        part = parts[k]
        x, y, layer = kept.inputs[k], kept.outputs[k], part.layer
        if isinstance(layer, Pooling):
            if parts[k - 1].link.relu:
                # A ReLU before a max pooling stops the gradients of maxima that are 0: the same
                # ones are stopped here, where the map is a quarter as large.
                g = aten.threshold_backward(g, y, 0.0)
            layer.index = kept.places[k]
            (d,), _ = layer.backward([y], [g], [x], [], need)
            layer.index = None
            return cast(torch.Tensor, d)
        if k == 0:
            x = self._bottom.data_tensor()
        pooled = k + 1 < len(parts) and isinstance(parts[k + 1].layer, Pooling)
        if part.link.relu and not pooled:
            g = aten.threshold_backward.grad_input(g, y, 0.0, grad_input=g)
        params = [blob.data_tensor() for blob in layer.blobs]
        (d,), grads = layer.backward([y], [g], [x], params, need)
        for blob, grad in zip(layer.blobs, grads):
            if grad is not None:
                blob.add_diff(grad.float())
        return g if d is None else d

    def _is_untouched(self) -> bool:
        """Whether the forward pass was this step's, and nobody has looked at what lies between."""
        kept = self._conv.short
        if kept is None or self._form() is not kept.form[0]:
            return False
        blobs = zip(self._tops, kept.promises)
        return all(blob.data_storage.promised is promise for blob, promise in blobs)

    def settle(self, i: int | None = None) -> None:
        """Give the poolings, or the one that is layer ``i``, the places of their maxima: they are
        to run backward alone."""
        kept = self._conv.short
        if kept is None:
            return
        form: Form = kept.form[0]
        for k, part in enumerate(form.parts):
            layer = part.link.layer
            if isinstance(layer, Pooling) and layer.index is None and i in (None, part.link.place):
                layer.forward([_whole(kept.outputs[k - 1], form.parts[k - 1].axes)], [])
        if i is None:
            self._conv.short = None

    # The gradients between ------------------------------------------------------------------------

    def _promise_diffs(self, form: Form, lowest: int, top: torch.Tensor) -> None:
        """Let the blobs between know how to get their diffs: from copies, for a solver changes the
        weights before anyone can ask."""
        links = [p.link for p in form.parts]
        counts = [len(link.layer.blobs) for link in links]
        newest = [b.data_tensor() for link in links for b in link.layer.blobs]
        newest.append(self._bottom.data_tensor())
        copies = [torch.empty_like(t) for t in newest]
        torch._foreach_copy_(copies, newest)
        whole = _WholePass(links, counts, copies, top)
        for k, (link, blob) in enumerate(zip(links[:-1], self._tops)):
            if link.place >= lowest:
                blob.diff_storage.defer(functools.partial(whole.diff, k))

    # Sizes ----------------------------------------------------------------------------------------

    def _form(self) -> Form | None:
        """The short maps for the input as it is; None where they are not worth it."""
        key = self._bottom.dims, current().torch_device
        if key not in self._forms:
            if len(self._forms) >= _MOST_SIZES:
                return None
            self._forms[key] = form_of(self._links, *key)
        return self._forms[key]


class _WholePass:
    """The gradients of the blobs between, by a pass over the whole maps in float32."""

    def __init__(
        self,
        links: list[Link],
        counts: list[int],
        copies: list[torch.Tensor],
        top: torch.Tensor,
    ) -> None:
        self._links, self._top = links, top
        *params, self._image = copies
        rest = iter(params)
        self._params = [[next(rest) for _ in range(n)] for n in counts]

    def diff(self, k: int) -> torch.Tensor:
        """The diff of the blob after link ``k``.  Nothing is remembered: a replay from a CUDA graph
        writes into the copies."""
        x = self._image.float()
        inputs, outputs, layers = [], [], []
        for link, params in zip(self._links, self._params):
            inputs.append(x)
            layer = link.layer
            if isinstance(layer, Convolution):
                weight, *bias = params
                x = torch.convolution(x, weight, bias[0] if bias else None, *layer._settings())
            else:
                layer = copy.copy(layer)
                layer.reshape([tuple(x.shape)])
                (x,) = layer.forward([x], [])
            x = x.relu() if link.relu else x
            layers.append(layer)
            outputs.append(x)
        g, need = self._top.float(), Need((True,), (False, False))
        for j in range(len(self._links) - 1, k - 1, -1):
            layer, x, y = layers[j], inputs[j], outputs[j]
            if self._links[j].relu:
                g = aten.threshold_backward(g, y, 0.0)
            if j == k:
                break
            if isinstance(layer, Convolution):
                settings = [layer.num_output], *layer._settings(), [True, False, False]
                g = aten.convolution_backward(g, x, self._params[j][0], *settings)[0]
            else:
                g = cast(torch.Tensor, layer.backward([y], [g], [x], [], need)[0][0])
        return g


def _whole(short: torch.Tensor, axes: tuple[Axis, Axis]) -> torch.Tensor:
    """The map that a short one stands for."""
    rows, columns = (border.index_between(axis, None, short.device) for axis in axes)
    return border.spread(short, rows, columns)


def _forward(part: Part, x: torch.Tensor) -> torch.Tensor:
    layer = part.layer
    if isinstance(layer, Pooling):
        return layer.forward([x], [])[0]
    weight, *bias = (blob.data_tensor() for blob in layer.blobs)
    return layer.compute(x, weight, bias[0] if bias else None, relu=part.link.relu)


def border_steps(graph: Graph) -> dict[int, BorderStep]:
    """The steps of a net, by their first layer."""
    readers = graph.readers()
    found: dict[int, BorderStep] = {}
    i = 0
    while i < len(graph.layers):
        links = chain(graph, i, readers)
        if len(links) > 1:
            found[i] = BorderStep(graph, links)
        i = links[-1].end if links else i + 1
    return found
