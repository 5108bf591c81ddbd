"""Layers joined to blobs: who feeds whom, who needs a backward pass, which parameters are shared.

:func:`wire` does in one pass over the layers, in file order, what BVLC's ``Net::Init`` does; the
order matters, because fillers draw random numbers as the layers are set up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from caffe import glog
from caffe import layer as layers_module
from caffe.blob import Blob
from caffe.errors import PrototxtError, ShapeError, naming
from caffe.layer import Layer
from caffe.proto import caffe_pb2

__all__ = ["Graph", "Param", "wire"]

AUTOMATIC = "(automatic)"


@dataclass
class Param:
    """One learnable parameter: the blob that owns the memory and its multipliers."""

    blob: Blob
    layer: int
    index: int
    lr_mult: float | None  # None while no layer has set it: then 1
    decay_mult: float | None


@dataclass
class Graph:
    """What a net runs: aligned lists over layers and over blobs, by index."""

    layers: list[Layer] = field(default_factory=list)
    layer_names: list[str] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    blob_names: list[str] = field(default_factory=list)
    bottoms: list[list[int]] = field(default_factory=list)  # layer -> blob indices
    tops: list[list[int]] = field(default_factory=list)
    loss_weights: list[list[float]] = field(default_factory=list)  # layer -> weight of each top
    blob_loss_weights: list[float] = field(default_factory=list)
    layer_needs_backward: list[bool] = field(default_factory=list)
    bottom_needs_backward: list[list[bool]] = field(default_factory=list)
    param_needs_backward: list[list[bool]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)  # learnable, owners only, in layer order
    owned: set[tuple[int, int]] = field(default_factory=set)  # (layer, index) that own memory
    memory: int = 0  # bytes of all tops at their first shapes, in-place ones counted again

    def bottom(self, i: int) -> list[Blob]:
        return [self.blobs[b] for b in self.bottoms[i]]

    def top(self, i: int) -> list[Blob]:
        return [self.blobs[b] for b in self.tops[i]]

    def readers(self) -> list[list[int]]:
        """Blob -> the layers that read it, once for each of their bottoms."""
        found: list[list[int]] = [[] for _ in self.blobs]
        for i, bottoms in enumerate(self.bottoms):
            for b in bottoms:
                found[b].append(i)
        return found

    def infers(self, i: int, most: int = 1) -> bool:
        """True where layer ``i`` has one top without a loss, so many bottoms at most, and no
        backward pass."""
        if any(self.loss_weights[i]) or self.layer_needs_backward[i]:
            return False
        return len(self.bottoms[i]) <= most and len(self.tops[i]) == 1

    def is_relu_of(self, i: int, blobs: list[int]) -> bool:
        """True where layer ``i`` is a plain ReLU in place on these blobs."""
        layer: Any = self.layers[i] if i < len(self.layers) else None
        if layer is None or layer.type != "ReLU" or layer.slope:
            return False
        return self.bottoms[i] == self.tops[i] == blobs and not any(self.loss_weights[i])


def wire(net: Any, log: Callable[[str], None] = lambda text: None) -> Graph:
    """Build the graph of a filtered net with its Splits inserted.

    Layers in ``net`` are completed in place (phase, default loss weight, parameter entries), as
    they are saved.  ``log`` receives the construction log, line by line.
    """
    blobs = _Blobs(Graph(), log)
    graph = blobs.graph
    named: dict[str, int] = {}  # parameter name -> index into graph.params
    for i, param in enumerate(net.layer):
        if not param.HasField("phase"):
            param.phase = net.state.phase
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise PrototxtError(
                f"layer '{param.name}': propagate_down param must be specified either 0 or "
                f"bottom_size times, got {len(param.propagate_down)} for {len(param.bottom)}"
            )
        glog.info("layer_factory.hpp", f"Creating layer {param.name}")
        log(f"Creating Layer {param.name}")
        layer = layers_module.create(param, param.phase)
        graph.layers.append(layer)
        graph.layer_names.append(param.name)
        bottoms = [blobs.bottom(param, j) for j in range(len(param.bottom))]
        needs = any(blobs.needs_diff[b] for b in bottoms)
        propagate = list(param.propagate_down) or [blobs.needs_diff[b] for b in bottoms]
        tops = [blobs.top(param, j) for j in range(len(param.top))]
        while layer.is_loss and len(tops) < _least(layer.tops):
            tops.append(blobs.new(AUTOMATIC))
            layer.num_tops += 1
            log(f"{param.name} -> {AUTOMATIC}")
        graph.bottoms.append(bottoms)
        graph.tops.append(tops)
        if layer.type == "Input":
            graph.inputs.extend(tops)
        _set_up(graph, i, log)
        needs |= _append_params(graph, i, param, named)
        graph.layer_needs_backward.append(needs)
        graph.bottom_needs_backward.append(propagate)
        if needs:
            for b in tops:
                blobs.needs_diff[b] = True
    _prune_backward(graph, log)
    if net.force_backward:
        _force_backward(graph)
    graph.outputs = blobs.outputs()
    for b in graph.outputs:
        log(f"This network produces output {graph.blob_names[b]}")
    log("Network initialization done.")
    return graph


def _least(allowed: int | tuple[int, int | None]) -> int:
    return allowed if isinstance(allowed, int) else allowed[0]


class _Blobs:
    """The blobs of a graph while it is built: found by name for bottoms, added for tops."""

    def __init__(self, graph: Graph, log: Callable[[str], None]) -> None:
        self.graph = graph
        self.needs_diff: list[bool] = []  # blob -> whether a layer that made it needs backward
        self._log = log
        self._index: dict[str, int] = {}  # name -> blob
        self._unused: dict[str, int] = {}  # name -> blob, of tops that no layer has consumed yet

    def bottom(self, param: Any, j: int) -> int:
        """The blob that bottom ``j`` of a layer names; raises PrototxtError where there is none."""
        name = param.bottom[j]
        if name not in self._unused:
            raise PrototxtError(
                f"Unknown bottom blob '{name}' (layer '{param.name}', bottom index {j})"
            )
        self._log(f"{param.name} <- {name}")
        return self._unused.pop(name)

    def top(self, param: Any, j: int) -> int:
        """The blob of top ``j``: its bottom in place, else a new one."""
        name = param.top[j]
        if j < len(param.bottom) and name == param.bottom[j]:
            self._log(f"{param.name} -> {name} (in-place)")
            b = self._index[name]
        elif name in self._index:
            raise PrototxtError(
                f"layer '{param.name}': Top blob '{name}' produced by multiple sources. Give the "
                "top a name of its own; in-place use is possible only for a blob that no other "
                "layer reads before"
            )
        else:
            self._log(f"{param.name} -> {name}")
            b = self._index[name] = self.new(name)
        self._unused[name] = b
        return b

    def new(self, name: str) -> int:
        """One more blob, under this name."""
        self.graph.blobs.append(Blob())
        self.graph.blob_names.append(name)
        self.needs_diff.append(False)
        return len(self.graph.blobs) - 1

    def outputs(self) -> list[int]:
        """The blobs that no layer consumes, by name in alphabetical order."""
        return [self._unused[name] for name in sorted(self._unused)]


def _set_up(graph: Graph, i: int, log: Callable[[str], None]) -> None:
    """Check counts, make parameters, shape the tops, set the loss weights."""
    layer = graph.layers[i]
    param = layer.param
    bottom, top = graph.bottom(i), graph.top(i)
    layer.check_counts()
    with naming(layer):
        layer.setup_blobs(bottom, top)
        if param.blobs:
            _use_stored_blobs(layer)
        layer.reshape_blobs(bottom, top)
    log(f"Setting up {param.name}")
    if layer.is_loss and not param.loss_weight:
        param.loss_weight.append(1.0)
    weights = [0.0] * len(top)
    if param.loss_weight:
        if len(param.loss_weight) != len(top):
            raise PrototxtError(
                f"layer '{param.name}': loss_weight must be unspecified or specified once per "
                f"top blob, got {len(param.loss_weight)} for {len(top)} top(s)"
            )
        weights = list(param.loss_weight)
    graph.loss_weights.append(weights)
    graph.blob_loss_weights.extend([0.0] * (len(graph.blobs) - len(graph.blob_loss_weights)))
    for blob, b, weight in zip(top, graph.tops[i], weights):
        graph.blob_loss_weights[b] = weight
        if weight:
            blob.diff[...] = weight
        log(f"Top shape: {''.join(f'{n} ' for n in blob.dims)}({blob.count})")
        graph.memory += 4 * blob.count
        if weight:
            log(f"    with loss weight {weight:g}")
    log(f"Memory required for data: {graph.memory}")


def _use_stored_blobs(layer: Layer) -> None:
    """Parameters written inside the prototxt itself."""
    from caffe.io import blobproto_to_array

    stored = layer.param.blobs
    if len(stored) != len(layer.blobs):
        raise layer.fail(
            f"has {len(layer.blobs)} parameter blobs, its prototxt stores {len(stored)}"
        )
    for blob, proto in zip(layer.blobs, stored):
        try:
            values = blobproto_to_array(proto)
        except ValueError as error:
            raise layer.fail(str(error)) from error
        if values.size != blob.count:
            raise layer.fail(f"stored blob has {values.size} values for a parameter of {blob.dims}")
        blob.data[...] = values.reshape(blob.dims)
    del stored[:]


def _append_params(graph: Graph, i: int, written: Any, named: dict[str, int]) -> bool:
    """Register a layer's parameters, sharing those with a name; True where any is learnable.

    As in BVLC, what the prototxt has ``written`` decides who needs a backward pass, and the
    layer's own copy gives the multipliers: BatchNorm adds lr_mult 0 to the latter only, so
    without entries in the prototxt it counts as learnable.
    """
    layer = graph.layers[i]
    specs = layer.param.param
    if len(specs) > len(layer.blobs):
        raise PrototxtError(
            f"layer '{layer.name}': Too many params specified: {len(specs)} param entries for "
            f"{len(layer.blobs)} parameter blob(s)"
        )
    default = caffe_pb2.ParamSpec()
    needs = []
    for j, blob in enumerate(layer.blobs):
        spec = specs[j] if j < len(specs) else default
        prescribed = written.param[j] if j < len(written.param) else default
        needs.append(prescribed.lr_mult != 0)
        lr = spec.lr_mult if spec.HasField("lr_mult") else None
        decay = spec.decay_mult if spec.HasField("decay_mult") else None
        if not spec.name or spec.name not in named:
            if spec.name:
                named[spec.name] = len(graph.params)
            graph.params.append(Param(blob, i, j, lr, decay))
            graph.owned.add((i, j))
            continue
        owner = graph.params[named[spec.name]]
        _share(graph, owner, layer, j, spec)
        for what, new in (("lr_mult", lr), ("decay_mult", decay)):
            old = getattr(owner, what)
            if new is None:
                continue
            if old is not None and old != new:
                raise PrototxtError(
                    f"Shared param '{spec.name}' has mismatched {what}: {old:g} in layer "
                    f"'{graph.layer_names[owner.layer]}', {new:g} in layer '{layer.name}'"
                )
            setattr(owner, what, new)
    graph.param_needs_backward.append(needs)
    return any(needs)


def _share(graph: Graph, owner: Param, layer: Layer, j: int, spec: Any) -> None:
    blob = layer.blobs[j]
    permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
    fits = blob.count == owner.blob.count if permissive else blob.dims == owner.blob.dims
    if not fits:
        what = "count mismatch" if permissive else "shape mismatch"
        advice = "" if permissive else "; share_mode: PERMISSIVE allows equal element counts"
        raise ShapeError(
            f"Cannot share param '{spec.name}' owned by layer "
            f"'{graph.layer_names[owner.layer]}' with layer '{layer.name}'; {what}: "
            f"owner {owner.blob.dims}, sharer {blob.dims}{advice}"
        )
    glog.info(
        "net",
        f"Sharing parameters '{spec.name}' owned by layer '{graph.layer_names[owner.layer]}', "
        f"param index {owner.index}",
    )
    blob.share_data(owner.blob)
    blob.share_diff(owner.blob)


def _prune_backward(graph: Graph, log: Callable[[str], None]) -> None:
    """Switch off what no loss depends on, and what only feeds layers that skip backward."""
    under_loss: set[str] = set()
    skipped: set[str] = set()
    for i in reversed(range(len(graph.layers))):
        contributes, skip = False, True
        for b, weight in zip(graph.tops[i], graph.loss_weights[i]):
            name = graph.blob_names[b]
            contributes |= weight != 0 or name in under_loss
            skip &= name in skipped
            if contributes and not skip:
                break
        if graph.layer_needs_backward[i] and skip:
            graph.layer_needs_backward[i] = False
            graph.bottom_needs_backward[i] = [False] * len(graph.bottoms[i])
        if not contributes:
            graph.layer_needs_backward[i] = False
        needs = "needs" if graph.layer_needs_backward[i] else "does not need"
        log(f"{graph.layer_names[i]} {needs} backward computation.")
        for j, b in enumerate(graph.bottoms[i]):
            name = graph.blob_names[b]
            if contributes:
                under_loss.add(name)
            else:
                graph.bottom_needs_backward[i][j] = False
            if not graph.bottom_needs_backward[i][j]:
                skipped.add(name)


def _force_backward(graph: Graph) -> None:
    for i, layer in enumerate(graph.layers):
        graph.layer_needs_backward[i] = True
        graph.bottom_needs_backward[i] = [
            needed or j not in layer.no_gradient
            for j, needed in enumerate(graph.bottom_needs_backward[i])
        ]
        graph.param_needs_backward[i] = [True] * len(layer.blobs)
