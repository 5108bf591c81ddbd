"""Net: a network that runs, with the interface of ``pycaffe.Net``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from caffe import glog
from caffe import weights as weight_files
from caffe.blob import Blob, BlobVec
from caffe.device import current
from caffe.errors import DataError, Error, LayerError, PrototxtError, naming
from caffe.former_api import missing
from caffe.layer import Layer
from caffe.layer.memory_data import MemoryData
from caffe.layer.python import LayerVec
from caffe.net import arguments, batches, debug_info
from caffe.net.description import filter_net, insert_splits
from caffe.net.passes import LayerCallback, Passes
from caffe.net.replay import Loss
from caffe.net.sharing import share_with
from caffe.net.wiring import Param, wire
from caffe.net.zero_weights import warn_of_zero_weights
from caffe.proto import caffe_pb2
from caffe.prototxt import crop_offsets, read_net
from caffe.vectors import DtypeVec, IntVec, StringVec, Vector
from caffe.weights import hdf5

__all__ = ["Net", "NetVec"]


class Net:
    """A network, built from a prototxt for one phase.

    ``Net(network_file, phase, level=0, stages=None, weights=None)``, or in the old form
    ``Net(network_file, weights_file, phase)``.  ``phase`` is ``caffe.TRAIN`` (0) or ``caffe.TEST``
    (1).  ``fix_crops`` gives Crop layers without an offset the one that puts their bottoms' pixels
    over each other, where BVLC cuts from the corner.  Raises PrototxtError, LayerError, ShapeError
    or WeightsError, all of them RuntimeError.
    """

    def __init__(
        self,
        network_file: str | os.PathLike[str],
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        fix_crops: bool = False,
    ) -> None:
        given = arguments.read(args, phase=phase, level=level, stages=stages, weights=weights)
        path = os.fsdecode(network_file)
        param = read_net(path)
        param.state.phase = given.phase
        param.state.level = given.level
        param.state.stage.extend(given.stages)
        if fix_crops:
            crop_offsets.fix_crops(param, path)
        self._init(param, path)
        if given.weights is not None:
            self.copy_from(given.weights)

    @classmethod
    def from_param(cls, param: Any, source: str = "<net_param>") -> Net:
        """A net from a ``NetParameter`` whose ``state`` is already set."""
        net = cls.__new__(cls)
        net._init(param, source)
        return net

    def _init(self, param: Any, source: str) -> None:
        self._source = source
        try:
            param = filter_net(param)
            crop_offsets.check_crops(param, source)
            if glog.is_on():  # the text of a large net takes a while
                glog.info("net", f"Initializing net from parameters: \n{param}")
            param = insert_splits(param)
            with torch.no_grad():
                self._graph = wire(param, lambda text: glog.info("net", text))
        except Error as error:
            error.args = (f"{source}: {error.args[0]}", *error.args[1:])
            raise
        self._param = param
        self._passes = Passes(self._graph, param.debug_info)
        self._judges = [  # layers that check on a device
            layer
            for layer in self._graph.layers
            if type(layer).raise_verdict is not Layer.raise_verdict
        ]
        self._checked_for_zeros = -1  # the last layer that was
        self._blobs_by_name = OrderedDict(zip(self._graph.blob_names, self._graph.blobs))
        self._params_by_name: OrderedDict[str, BlobVec] | None = None
        self._output_names = self.outputs

    # What the net is made of ------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The net's name in its prototxt."""
        name: str = self._param.name
        return name

    @property
    def blobs(self) -> OrderedDict[str, Blob]:
        """All blobs by name, in the order of creation, Split copies included."""
        return self._blobs_by_name

    @property
    def params(self) -> OrderedDict[str, BlobVec]:
        """Parameter blobs by layer name, for the layers that have any; the same dict each time."""
        if self._params_by_name is None:
            self._params_by_name = OrderedDict(
                (name, layer.blobs)
                for name, layer in zip(self._graph.layer_names, self._graph.layers)
                if layer.blobs
            )
        return self._params_by_name

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """The loss weight of each blob, 0 where it is no loss."""
        return OrderedDict(zip(self._graph.blob_names, self._graph.blob_loss_weights))

    @property
    def layers(self) -> LayerVec:
        """The layers in execution order; Python layers as the user's own instances."""
        return LayerVec(getattr(layer, "user", layer) for layer in self._graph.layers)

    @property
    def layer_dict(self) -> OrderedDict[str, Any]:
        """Layers by name; of equal names the last."""
        return OrderedDict(zip(self._graph.layer_names, self.layers))

    @property
    def inputs(self) -> list[str]:
        """The tops of Input layers."""
        return [self._graph.blob_names[b] for b in self._graph.inputs]

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer consumes, in alphabetical order."""
        return [self._graph.blob_names[b] for b in self._graph.outputs]

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The tops of each layer, by layer name."""
        return self._names_by_layer(self._graph.tops)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The bottoms of each layer, by layer name, Split copies as they are named."""
        return self._names_by_layer(self._graph.bottoms)

    def _names_by_layer(self, indices: list[list[int]]) -> OrderedDict[str, list[str]]:
        names = self._graph.blob_names
        return OrderedDict(
            (layer, [names[b] for b in blobs])
            for layer, blobs in zip(self._graph.layer_names, indices)
        )

    @property
    def _blobs(self) -> BlobVec:
        return BlobVec(self._graph.blobs)

    @property
    def _blob_names(self) -> StringVec:
        return StringVec(self._graph.blob_names)

    @property
    def _layer_names(self) -> StringVec:
        return StringVec(self._graph.layer_names)

    @property
    def _blob_loss_weights(self) -> DtypeVec:
        return DtypeVec(self._graph.blob_loss_weights)

    @property
    def _inputs(self) -> IntVec:
        return IntVec(self._graph.inputs)

    @property
    def _outputs(self) -> IntVec:
        return IntVec(self._graph.outputs)

    def _top_ids(self, i: int) -> IntVec:
        return IntVec(self._graph.tops[i])

    def _bottom_ids(self, i: int) -> IntVec:
        return IntVec(self._graph.bottoms[i])

    def _batch(self, blobs: dict[str, Any]) -> Iterator[dict[str, np.ndarray]]:
        return batches.cut(self, blobs)

    def __getattr__(self, name: str) -> Any:
        raise missing("Net", name)

    def __reduce__(self) -> Any:
        raise RuntimeError("a Net cannot be pickled or copied: save() it and load it again")

    # Running ------------------------------------------------------------------------------------

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run the layers from ``start`` to ``end``, both included, by name.

        Keyword arguments are input arrays, one for every input.  Returns name -> array (the
        blob's own memory) for the outputs, or the tops of ``end``, and for ``blobs``.
        """
        first = 0 if start is None else self._layer_index(start)
        last = len(self._graph.layers) - 1 if end is None else self._layer_index(end)
        wanted = self._output_names if end is None else self.top_names[end]
        if kwargs:
            self._feed(kwargs, self.inputs, "data", "input")
        self._run_forward(first, last)
        self.check_verdicts()
        if blobs:
            wanted = [*wanted, *blobs]
        return {name: self._blob(name).data for name in wanted}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run the layers' backward passes from ``start`` down to ``end``, both included.

        Keyword arguments are diffs, one for every output.  Parameter diffs are added to, never
        cleared (see :meth:`clear_param_diffs`).  Returns name -> diff for the inputs, or the
        bottoms of ``end``, and for ``diffs``.
        """
        first = len(self._graph.layers) - 1 if start is None else self._layer_index(start)
        last = 0 if end is None else self._layer_index(end)
        wanted = self.inputs if end is None else self.bottom_names[end]
        if kwargs:
            self._feed(kwargs, self.outputs, "diff", "output")
        self._backward(first, last)
        return {name: self._blob(name).diff for name in chain(wanted, diffs or ())}

    def _feed(self, arrays: dict[str, Any], expected: list[str], part: str, what: str) -> None:
        if set(arrays) != set(expected):
            raise DataError(
                f"the arrays given do not match the net's {what}s: expected "
                f"{', '.join(expected) or 'none'}; received {', '.join(arrays)}"
            )
        for name, array in arrays.items():
            blob = self.blobs[name]
            if array.shape[0] != blob.dims[0]:
                raise DataError(
                    f"{what} '{name}' is not batch sized: its first axis is {array.shape[0]}, "
                    f"the blob's is {blob.dims[0]}; reshape the blob first"
                )
            blob.fill(part, array)

    def _layer_index(self, name: str) -> int:
        try:
            return self._graph.layer_names.index(name)
        except ValueError:
            raise ValueError(f"the net has no layer named '{name}'") from None

    def _blob(self, name: str) -> Blob:
        if name not in self._blobs_by_name:
            raise KeyError(f"the net has no blob named '{name}'")
        return self._blobs_by_name[name]

    def _check_range(self, i: int, j: int) -> None:
        count = len(self._graph.layers)
        if not count:
            raise PrototxtError(f"{self._source}: the net has no layers in this phase")
        if not (0 <= i < count and 0 <= j < count):
            raise PrototxtError(f"layers {i} to {j} asked for, the net has 0 to {count - 1}")

    def _forward(self, i: int, j: int) -> float:
        """Run layers ``i`` to ``j``; the sum of their weighted losses."""
        loss = float(self._run_forward(i, j))
        self.check_verdicts()
        return loss

    def _run_forward(self, i: int, j: int) -> Loss:
        """:meth:`_forward` that does not wait for the device: there the loss is a tensor."""
        self._check_range(i, j)
        if j > self._checked_for_zeros:
            warn_of_zero_weights(self._graph, self._source, self._checked_for_zeros + 1, j)
            self._checked_for_zeros = j
        return self._passes.forward(i, j)

    def _forward_layer(self, i: int) -> None:
        self._passes.forward_layer(i)

    def _backward(self, i: int, j: int) -> None:
        """Run the backward passes of layers ``i`` down to ``j``."""
        self._check_range(i, j)
        self._passes.backward(i, j)

    def _backward_layer(self, i: int) -> None:
        self._passes.backward_layer(i)

    def argmax(self, blob: str) -> np.ndarray:
        """The position along axis 1 of the largest value: a blob of scores (N, C, H, W) gives the
        classes (N, H, W), uint8 up to 256 of them, else int32.

        Of equal values the first, of NaN the first, as NumPy's.  Computed where the values lie, so
        that from a GPU only these are fetched.
        """
        found = self._blob(blob)
        if len(found.dims) < 2 or not found.dims[1]:
            raise DataError(
                f"argmax takes a blob with values along axis 1; '{blob}' has the shape {found.dims}"
            )
        dtype = torch.uint8 if found.dims[1] <= 256 else torch.int32
        with torch.no_grad():
            if current().torch_device.type == "cpu":  # where NumPy is faster
                places = torch.from_numpy(found.data_numbers().argmax(1))
            else:
                places = found.data_tensor().argmax(1)
            return places.to(dtype).cpu().numpy()

    def reshape(self) -> None:
        """Give every blob the shape that follows from the inputs' shapes, without computing."""
        with torch.no_grad():
            for i, layer in enumerate(self._graph.layers):
                with naming(layer):
                    layer.reshape_blobs(self._graph.bottom(i), self._graph.top(i))

    def forward_all(self, blobs: Iterable[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """Forward for any number of items, in batches; name -> array of all items (copies)."""
        return batches.forward_all(self, blobs, kwargs)

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """:meth:`forward_all` with a backward pass after each batch."""
        return batches.forward_backward_all(self, blobs, diffs, kwargs)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed the net from arrays; its first layer must be a MemoryData.

        ``data`` is (N, C, H, W), ``labels`` (N) or (N, 1, 1, 1), both float32 and C-contiguous, N a
        multiple of the batch size.  They are used in place and kept alive.  Raises LayerError or
        DataError, both RuntimeError.
        """
        first = self._graph.layers[0] if self._graph.layers else None
        if not isinstance(first, MemoryData):
            raise LayerError(
                "set_input_arrays may only be called if the first layer is a MemoryDataLayer; it "
                f"is {first.type if first else 'missing'}"
            )
        first.set_arrays(data, labels)

    def before_forward(self, callback: LayerCallback) -> None:
        """Call ``callback(layer_index)`` before every layer's forward pass."""
        self._passes.callbacks["before_forward"].append(callback)

    def after_forward(self, callback: LayerCallback) -> None:
        """Call ``callback(layer_index)`` after every layer's forward pass."""
        self._passes.callbacks["after_forward"].append(callback)

    def before_backward(self, callback: LayerCallback) -> None:
        """Call ``callback(layer_index)`` before every backward pass, needed or not."""
        self._passes.callbacks["before_backward"].append(callback)

    def after_backward(self, callback: LayerCallback) -> None:
        """Call ``callback(layer_index)`` after every backward pass, needed or not."""
        self._passes.callbacks["after_backward"].append(callback)

    # Parameters -----------------------------------------------------------------------------------

    def clear_param_diffs(self) -> None:
        """Make the diffs of all learnable parameters zero."""
        for param in self._graph.params:
            param.blob.zero_diff()

    def copy_from(self, path: str | os.PathLike[str]) -> None:
        """Copy parameters by layer name from a caffemodel (binary or HDF5).

        Layers absent from either side are left alone.  A different number of blobs or a shape
        that does not match raises WeightsError before anything is copied.
        """
        for name in weight_files.load(path, self.layer_params()):
            glog.info("net", f"Ignoring source layer {name}")

    def share_with(self, other: Net) -> None:
        """Use the data (not the diff) memory of the other net's layers of the same names."""
        share_with(self, other)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all layers and parameters as a binary caffemodel; atomic."""
        weight_files.write_net(path, self.to_proto(), [b for _, b in self.layer_params()])

    def save_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as HDF5 (needs h5py); shared ones once; atomic."""
        hdf5.write_net(os.fsdecode(path), self.layer_params())

    def load_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Copy parameters by layer name from HDF5."""
        self.copy_from(path)

    # For the solver -----------------------------------------------------------------------------

    @property
    def learnable(self) -> list[Param]:
        """Parameters that own their memory, with their multipliers, in layer order."""
        return self._graph.params

    @property
    def learnable_params(self) -> list[Blob]:
        return [p.blob for p in self._graph.params]

    @property
    def params_lr(self) -> list[float]:
        return [1.0 if p.lr_mult is None else p.lr_mult for p in self._graph.params]

    @property
    def params_weight_decay(self) -> list[float]:
        return [1.0 if p.decay_mult is None else p.decay_mult for p in self._graph.params]

    @property
    def output_blobs(self) -> list[tuple[str, Blob, float]]:
        """(name, blob, loss weight) of every output, in alphabetical order."""
        g = self._graph
        return [(g.blob_names[b], g.blobs[b], g.blob_loss_weights[b]) for b in g.outputs]

    def forward_loss(self) -> Loss:
        """A whole forward pass; the total weighted loss, on a device a tensor that nobody has
        waited for."""
        return self._run_forward(0, len(self._graph.layers) - 1)

    def _release_unread(self) -> None:
        """Say that nobody asks for the gradients of the last backward pass any more."""
        self._passes.release_unread()

    def check_verdicts(self) -> None:
        """Raise the error of the first layer whose check on the device has failed since the last
        call.  On a GPU labels that only the device sees are checked there; what it found is read
        here, when a result is displayed, saved or scored."""
        first: Error | None = None
        for layer in self._judges:
            if layer.verdict is not None:
                try:
                    with naming(layer):
                        layer.raise_verdict()
                except Error as error:  # one wrong label is found by every layer that reads it
                    first = first or error
        if first is not None:
            raise first

    def backward_all(self) -> None:
        self._backward(len(self._graph.layers) - 1, 0)
        if self._passes.logs:
            debug_info.log_params(self._graph)

    def set_debug_info(self, on: bool) -> None:
        self._passes.logs = on

    def to_proto(self) -> Any:
        """The net as it is saved: name and completed layers, without parameter values."""
        saved = caffe_pb2.NetParameter(name=self._param.name)
        for layer in self._graph.layers:
            saved.layer.add().CopyFrom(layer.param)
        return saved

    def layer_params(self) -> list[tuple[str, BlobVec]]:
        """(layer name, parameter blobs) of every layer, in order."""
        return [(n, layer.blobs) for n, layer in zip(self._graph.layer_names, self._graph.layers)]


class NetVec(Vector):
    """Nets: ``solver.test_nets``."""

    @classmethod
    def element(cls, value: Any) -> Any:
        if not isinstance(value, Net):
            raise cls.refusal(value, "nets")
        return value
