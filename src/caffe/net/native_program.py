"""Stretches of layers as programs of the native kernels (caffe.native).

A program copies its inputs into memory of its own, where they stay until the next pass: hidden
blobs are computed from them.  Weights beyond some millions are read where the blobs have them, in
each run: the blobs that layers with such weights make are always outputs, so that nothing hidden
has to be computed with weights that may have changed since.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe import native
from caffe._malloc import give_back
from caffe.blob import Blob
from caffe.layer.convolution import Convolution
from caffe.layer.deconvolution import Deconvolution
from caffe.layer.inner_product import InnerProduct
from caffe.native.program import Impossible
from caffe.net import native_layers as layers
from caffe.net import native_stretch as stretches
from caffe.net.native_layers import Form
from caffe.net.stretch_program import SHARING, Operation, Stretch, StretchProgram, equal, run
from caffe.net.wiring import Graph

__all__ = ["NativeProgram"]

_LARGE = 1 << 25  # numbers of all blobs: 128 MB


class NativeProgram(StretchProgram):
    """Making one takes the time of packing its weights and of one run, in which it is tried: that
    of one to three passes of the layers, which 5 to 20 passes of the program save."""

    patience = 3
    large_patience = 6
    most_work = float("inf")
    most_weights = 1 << 26  # they are kept twice more, once packed
    products = (Convolution, Deconvolution, InnerProduct)
    replaces_bf16 = True
    any_threads = True
    keeps_borders = True

    def __init__(self, stretch: Stretch) -> None:
        super().__init__(stretch)
        graph, all_layers = stretch.graph, range(stretch.first, stretch.end)
        self._refer = {i for i in all_layers if self.refers(graph, i)}
        self._shown = {stretch.roots[b] for i in self._refer for b in graph.tops[i]}
        self._taken_blobs: list[Blob] = []
        self._kept_outputs: dict[int, torch.Tensor] = {}  # of the last pass: those shown
        self._given: dict[int, torch.Tensor] = {}  # inputs, while the program is being made
        self._built: stretches.Stretch

    @classmethod
    def available(cls) -> bool:
        return native.available()

    @classmethod
    def takes(cls, graph: Graph, i: int) -> bool:
        return _form(graph, i) is not None

    @classmethod
    def refers(cls, graph: Graph, i: int) -> bool:
        form = _form(graph, i)
        return form is not None and form.refers

    def _run(self, threads: int) -> bool:
        tensors = [blob.data_tensor() for blob in self._taken_blobs]  # bfloat16 ones too
        tensors = [t.float().contiguous() for t in tensors]
        outputs = self._ends.to_fill()
        try:
            if not self._built.program.run(tensors + outputs, threads):
                return False
        except MemoryError:  # for scratch; the layers may need less
            return False
        self._keep_shown(outputs)
        return True

    def _keep_shown(self, outputs: list[torch.Tensor]) -> None:
        if self._shown:
            self._kept_outputs = {
                b: y.clone() for b, y in zip(self.outputs, outputs) if b in self._shown
            }

    def _last(self) -> dict[int, torch.Tensor]:
        if self._given:  # making the program has failed
            return dict(self._given)
        values = self._inputs_taken()
        values.update(self._kept_outputs)
        return values

    def _inputs_taken(self) -> dict[int, torch.Tensor]:
        """The inputs of the last pass; of those that are read for their shapes alone, zeros."""
        found = {}
        for b, blob in zip(self._stretch.inputs, self._stretch.input_blobs):
            if b in self._built.values:
                found[b] = self._built.input(b).contiguous().view(blob.dims)
            else:
                found[b] = torch.zeros(()).expand(blob.dims)
        return found

    def _copies(self, i: int) -> list[torch.Tensor]:
        given = [blob.data_tensor() for blob in self._stretch.graph.layers[i].blobs]
        if i in self._refer:
            return [given[0].contiguous(), *(t.clone() for t in given[1:])]
        return [t.clone(memory_format=torch.contiguous_format) for t in given]

    def _build(self, inputs: list[torch.Tensor]) -> bool:
        stretch, graph = self._stretch, self._stretch.graph
        nodes = []
        for i in range(stretch.first, stretch.end):
            form = _form(graph, i)
            if form is None:
                return False
            layer = graph.layers[i]
            nodes.append(
                stretches.Node(layer, form, self._kept[i], graph.bottoms[i], graph.tops[i])
            )
        blobs = {*stretch.inputs, *stretch.made}
        dims = {b: graph.blobs[b].dims for b in blobs}
        large = sum(graph.blobs[b].count for b in stretch.made) >= _LARGE
        self._given = dict(zip(stretch.inputs, inputs))

        def fill(frames: Sequence[stretches.Frame]) -> None:
            self._fill(frames, nodes)
            self.hide()  # nothing else of what the layers computed is needed, but its memory is
            if large:
                give_back()

        try:
            self._built = stretches.build(nodes, stretch.inputs, self.outputs, dims, fill)
        except Impossible:
            return False
        self._taken_blobs = [graph.blobs[b] for b in self._built.taken]
        found = [torch.empty(graph.blobs[b].dims) for b in self.outputs]
        tensors = [self._given[b] for b in self._built.taken] + found
        if not self._built.program.run(tensors, torch.get_num_threads()):
            return False
        if not equal(found, [graph.blobs[b].data_tensor() for b in self.outputs]):
            return False
        self._keep_shown(found)
        self._given.clear()
        self._plain = [o for i, o in enumerate(self._plain, stretch.first) if self._is_plain(i, o)]
        return True

    def _fill(self, frames: Sequence[stretches.Frame], nodes: Sequence[stretches.Node]) -> None:
        """Fill the frames in from what the layers have computed; where a later layer has written
        over that, from the same computed again."""
        blobs = self._stretch.graph.blobs
        lost: dict[int, list[stretches.Frame]] = {}
        for frame in frames:
            later = nodes[frame.node + 1 :]
            if any(frame.blob in n.tops and n.form.kind != layers.ALIAS for n in later):
                lost.setdefault(frame.node, []).append(frame)
            else:
                frame.fill(blobs[frame.blob].data_tensor())
        if lost:

            def refill(node: int, values: dict[int, torch.Tensor]) -> None:
                for frame in lost.get(node, ()):
                    frame.fill(values[frame.blob])

            run(self._plain[: max(lost) + 1], dict(self._given), refill, [])

    def _is_plain(self, i: int, operation: Operation) -> bool:
        """Whether hidden blobs are computed by this operation: not by those of which the last pass
        has kept what they gave."""
        roots = {self._stretch.roots[b] for b in operation.tops}
        return isinstance(self._stretch.graph.layers[i], SHARING) or not roots & self._shown


def _form(graph: Graph, i: int) -> Form | None:
    return layers.form(graph.layers[i], [graph.blobs[b].dims for b in graph.bottoms[i]])
