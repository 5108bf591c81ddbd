"""Stretches of layers as programs of the native kernels (caffe.native).

A program copies its inputs into memory of its own, where they stay until the next pass: hidden
blobs are computed from them.  Weights beyond some millions are read where the blobs have them, in
each run: the blobs that layers with such weights make are always outputs, so that nothing hidden
has to be computed with weights that may have changed since.
"""

from __future__ import annotations

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
from caffe.storage import Storage

__all__ = ["NativeProgram"]

_LAST = torch.channels_last
_LARGE = 1 << 25  # numbers of all blobs: 128 MB


class NativeProgram(StretchProgram):
    """Making one takes about as long as two passes, one of them of the layers for comparison.  What
    it gives when it is tried is the result of the pass."""

    patience = 3
    most_work = float("inf")
    most_weights = 1 << 26  # they are kept twice more, once packed
    products = (Convolution, Deconvolution, InnerProduct)
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
        self._tried: list[torch.Tensor] = []  # what it gave for these when it was tried,
        self._tried_on: list[tuple[Storage, int | None]] = []  # and where and which they were
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
        if self._tried and self._give_tried():
            return True
        tensors = [blob.data_tensor() for blob in self._taken_blobs]
        tensors = [t if t.is_contiguous() else t.contiguous() for t in tensors]
        outputs = self._ends.to_fill()
        try:
            if not self._built.program.run(tensors + outputs, threads):
                return False
        except MemoryError:  # for scratch; the layers may need less
            return False
        self._keep_shown(outputs)
        return True

    def _give_tried(self) -> bool:
        """The pass for which the program was made: it has been computed to try it.  False where the
        inputs may be others."""
        found, self._tried = self._tried, []
        inputs = [blob.data_storage for blob in self._stretch.input_blobs]
        if not all(
            now is then and version is not None and now.is_still(version)
            for now, (then, version) in zip(inputs, self._tried_on, strict=True)
        ):
            return False
        outputs = self._ends.to_fill()
        for y, values in zip(outputs, found):
            y.copy_(values)
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
        self._given = dict(zip(stretch.inputs, inputs))
        self.hide()  # what the layers computed is not needed, and their memory is
        large = sum(graph.blobs[b].count for b in self._stretch.made) >= _LARGE
        if large:
            give_back()
        try:
            self._built = stretches.build(nodes, stretch.inputs, self.outputs, dims)
        except Impossible:
            return False
        self._taken_blobs = [graph.blobs[b] for b in self._built.taken]
        expected = self._expected(large)
        found = [torch.empty(graph.blobs[b].dims) for b in self.outputs]
        tensors = [self._given[b] for b in self._built.taken] + found
        if not self._built.program.run(tensors, torch.get_num_threads()):
            return False
        if not equal(found, [expected[b] for b in self.outputs]):
            return False
        self._given.clear()
        self._tried = found
        storages = [blob.data_storage for blob in stretch.input_blobs]
        self._tried_on = [(storage, storage.version()) for storage in storages]
        del expected, tensors
        if large:
            give_back()
        self._plain = [o for i, o in enumerate(self._plain, stretch.first) if self._is_plain(i, o)]
        return True

    def _expected(self, large: bool) -> dict[int, torch.Tensor]:
        """What the layers make of the given inputs; fills in the frames on the way."""
        frames: dict[int, list[stretches.Frame]] = {}
        for frame in self._built.frames:
            frames.setdefault(frame.node, []).append(frame)

        def fill(node: int, values: dict[int, torch.Tensor]) -> None:
            for frame in frames.get(node, ()):
                frame.fill(values[frame.blob])
            if large:  # holes of one size are of no use to maps of the next
                give_back()

        # Channels last, in which PyTorch's convolutions need no copies of large maps.
        given = {
            b: x.contiguous(memory_format=_LAST) if x.ndim == 4 else x
            for b, x in self._given.items()
        }
        return run(self._plain, given, fill, self.outputs)

    def _is_plain(self, i: int, operation: Operation) -> bool:
        """Whether hidden blobs are computed by this operation: not by those of which the last pass
        has kept what they gave."""
        roots = {self._stretch.roots[b] for b in operation.tops}
        return isinstance(self._stretch.graph.layers[i], SHARING) or not roots & self._shown


def _form(graph: Graph, i: int) -> Form | None:
    return layers.form(graph.layers[i], [graph.blobs[b].dims for b in graph.bottoms[i]])
