"""From a net to its graph: which layers are needed, which tensor stands for which blob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe.export.graph import Dim, ExportError, Graph, Value
from caffe.export.sizes import Sizes
from caffe.export.table import CUT, writer
from caffe.hints import did_you_mean
from caffe.net import Net

__all__ = ["Preprocessing", "Written", "walk"]

#: Layers whose tops' size along an axis depends on the numbers: type -> axis.
_DEPENDS = {"Filter": 0, "DetectionOutput": 2, "Proposal": 0}


class Preprocessing(NamedTuple):
    """What is done to an image before the net reads it: colours turned from RGB to BGR, the mean
    of each channel (in the net's order) subtracted, and then multiplied."""

    mean: tuple[float, ...] = ()
    rgb: bool = False
    scale: float = 1.0

    def __bool__(self) -> bool:
        return bool(self.mean) or self.rgb or self.scale != 1

    def apply(self, images: np.ndarray) -> np.ndarray:
        """The same on an array (N, C, H, W)."""
        x = images[:, ::-1] if self.rgb else images
        if self.mean:
            x = x - np.array(self.mean, np.float32).reshape(1, -1, 1, 1)
        return np.ascontiguousarray(x * np.float32(self.scale), np.float32)


class Written(NamedTuple):
    """A graph, and how it belongs to its net.

    tops: (layer, blob, tensor) for everything that layers wrote, in order.
    outputs: output -> blob.
    image: the input that the preprocessing is done to.
    notes: what was left out, and why.
    """

    graph: Graph
    tops: list[tuple[int, int, str]]
    inputs: list[str]
    outputs: dict[str, int]
    image: str | None
    notes: list[str]


#: Images as the net reads them.
NOTHING = Preprocessing()


def walk(
    net: Net,
    sizes: Sizes,
    outputs: Sequence[str] = (),
    preprocessing: Preprocessing = NOTHING,
) -> Written:
    """Write the graph of all layers that the outputs need.

    Raises:
        ExportError: a layer without a writer, or an output that is no blob of the net.
    """
    return _Walk(net, sizes, preprocessing).run(outputs)


class _Walk:
    def __init__(self, net: Net, sizes: Sizes, preprocessing: Preprocessing) -> None:
        self.net, self.sizes, self.preprocessing = net, sizes, preprocessing
        self.wiring = net._graph
        self.graph = Graph(reserved=self.wiring.blob_names)
        self.cut = self._cut_layers()
        self.values: dict[int, Value] = {}  # blob -> its tensor as of now
        self.tops: list[tuple[int, int, str]] = []
        self.notes: list[str] = []
        self.varies: dict[int, frozenset[int]] = {}  # axes that depend on numbers

    def run(self, wanted: Sequence[str]) -> Written:
        outputs = self._outputs(wanted)
        needed = self._needed(set(outputs.values()))
        inputs = self._inputs(needed)
        image = self._image(inputs)
        for name, b in inputs.items():
            self._input(name, b, name == image)
        for i, layer in enumerate(self.wiring.layers):
            if i in needed and layer.type != "Input":
                self._layer(i, layer)
        outputs = {self._free_name(name, inputs): b for name, b in outputs.items()}
        self._name_tensors(outputs)
        return Written(self.graph, self.tops, list(inputs), outputs, image, self.notes)

    # Which layers ---------------------------------------------------------------------------------

    def _cut_layers(self) -> set[int]:
        """The layers that score or learn, and all that read what those make."""
        cut: set[int] = set()
        dead: set[int] = set()
        for i, layer in enumerate(self.wiring.layers):
            if layer.type in CUT or dead & set(self.wiring.bottoms[i]):
                cut.add(i)
                dead |= set(self.wiring.tops[i])
        return cut

    def _outputs(self, wanted: Sequence[str]) -> dict[str, int]:
        names, g = self.wiring.blob_names, self.wiring
        made_by = {b: i for i, tops in enumerate(g.tops) for b in tops}
        if wanted:
            index = {name: b for b, name in enumerate(names)}
            for name in wanted:
                if name not in index:
                    raise ExportError(
                        f"the net has no blob '{name}' to export.{did_you_mean(name, index, 3)}"
                    )
                i = made_by[index[name]]
                if i in self.cut:
                    layer = g.layers[i]
                    raise ExportError(
                        f"'{name}' is computed by layer '{layer.name}' (type {layer.type}), which "
                        "scores or learns and has no part in an exported graph"
                    )
            return {name: index[name] for name in wanted}
        return self._ends(made_by)

    def _ends(self, made_by: dict[int, int]) -> dict[str, int]:
        """The blobs that no layer reads, those aside that score or learn."""
        g = self.wiring
        origin: dict[int, int] = {}  # a copy that a Split made -> what it is a copy of
        read: set[int] = set()
        cut_reads: dict[int, list[Any]] = {}
        for i, layer in enumerate(g.layers):
            if layer.type == "Split" and layer.name.endswith("_split"):  # that the net made
                for top in g.tops[i]:
                    origin[top] = origin.get(g.bottoms[i][0], g.bottoms[i][0])
                continue
            for b in g.bottoms[i]:
                b = origin.get(b, b)
                if i in self.cut:
                    cut_reads.setdefault(b, []).append(layer)
                elif b not in g.tops[i]:  # in place it is written anew
                    read.add(b)
        ends = {}
        for b, i in made_by.items():
            if b in origin or b in read or i in self.cut or g.layers[i].type == "Input":
                continue
            ends[g.blob_names[b]] = b
        for b, layers in cut_reads.items():
            for layer in layers:
                what = "it ends at" if g.blob_names[b] in ends else "it read"
                if made_by[b] not in self.cut and g.layers[made_by[b]].type != "Input":
                    self.notes.append(
                        f"layer '{layer.name}' (type {layer.type}) is left out of the graph: "
                        f"{what} '{g.blob_names[b]}'"
                    )
        if not ends:
            raise ExportError("the net computes nothing that could be exported")
        return dict(sorted(ends.items()))

    def _needed(self, blobs: set[int]) -> set[int]:
        g, needed = self.wiring, set()
        blobs = set(blobs)
        for i in reversed(range(len(g.layers))):
            if blobs & set(g.tops[i]) and i not in self.cut:
                needed.add(i)
                blobs |= set(g.bottoms[i])
        return needed

    def _free_name(self, name: str, inputs: dict[str, int]) -> str:
        """The name of an output: another than the blob's where that is an input written in place,
        for a graph has no two tensors of one name."""
        if name not in inputs:
            return name
        self.notes.append(f"output '{name}' is named '{name}_out': an input has its name")
        return f"{name}_out"

    # Inputs ---------------------------------------------------------------------------------------

    def _inputs(self, needed: set[int]) -> dict[str, int]:
        g = self.wiring
        read = {b for i in needed for b in g.bottoms[i]}
        return {g.blob_names[b]: b for b in g.inputs if b in read}

    def _image(self, inputs: dict[str, int]) -> str | None:
        """The input that is preprocessed."""
        p = self.preprocessing
        if not p:
            return None
        channels = len(p.mean) if len(p.mean) > 1 else 3 if p.rgb else None
        found = []
        for name, b in inputs.items():
            shape = self.wiring.blobs[b].dims
            if len(shape) == 4 and channels in (None, shape[1]):
                found.append(name)
        if len(found) != 1:
            shapes = ", ".join(f"{n} {tuple(self.wiring.blobs[b].dims)}" for n, b in inputs.items())
            what = f"{channels} channels" if channels else "4 axes"
            raise ExportError(
                f"mean, rgb and scale are for one image input of {what}; the inputs are {shapes}"
            )
        return found[0]

    def _input(self, name: str, b: int, preprocess: bool) -> None:
        value = self._value(b, name)
        g, p = self.graph, self.preprocessing
        g.inputs.append((name, self._dims(b)))
        if preprocess:
            with g.layer("preprocessing"):
                x = name
                if p.rgb:
                    x = g.node("Gather", x, g.ints([2, 1, 0]), axis=1)
                if p.mean:
                    mean = np.array(p.mean, np.float32).reshape(1, -1, 1, 1)
                    x = g.node("Sub", x, g.constant(mean, "mean"))
                if p.scale != 1:
                    x = g.node("Mul", x, g.number(p.scale))
            value = value._replace(name=x)
        self.values[b] = value

    def _dims(self, b: int) -> list[Dim]:
        free = self._free(b)
        name = self.wiring.blob_names[b]
        shape = self.wiring.blobs[b].dims
        return [
            self.sizes.same.get((b, a), f"{name}_{a}") if a in free else n
            for a, n in enumerate(shape)
        ]

    # Layers ---------------------------------------------------------------------------------------

    def _free(self, b: int) -> frozenset[int]:
        return self.sizes.free.get(b, frozenset()) | self.varies.get(b, frozenset())

    def _value(self, b: int, tensor: str) -> Value:
        return Value(tensor, tuple(self.wiring.blobs[b].dims), self._free(b))

    def _layer(self, i: int, layer: Any) -> None:
        bottoms, tops = self.wiring.bottoms[i], self.wiring.tops[i]
        varies = self._varying(layer, bottoms, tops)
        function = writer(layer)
        with self.graph.layer(layer.name):
            tensors = function(self.graph, layer, [self.values[b] for b in bottoms])
        for b, tensor in zip(tops, tensors):
            if varies and len(self.wiring.blobs[b].dims) > max(varies):
                self.varies[b] = varies
            self.values[b] = self._value(b, tensor)
            self.tops.append((i, b, tensor))

    def _varying(self, layer: Any, bottoms: Sequence[int], tops: Sequence[int]) -> frozenset[int]:
        """The axes of the tops whose size depends on numbers, as that of regions does."""
        if layer.type in _DEPENDS:
            return frozenset({_DEPENDS[layer.type]})
        found = [self.varies[b] for b in bottoms if b in self.varies]
        if not found:
            return frozenset()
        if layer.type == "Reshape" and layer.param.reshape_param.axis == 0:
            dims = list(layer.param.reshape_param.shape.dim)
            if -1 in dims and dims[0] != 0:  # regions in rows become another axis
                return frozenset({dims.index(-1)})
        blobs = self.wiring.blobs
        if bottoms and tops and blobs[bottoms[0]].dims == blobs[tops[0]].dims:
            return found[0]
        return frozenset({0}) if any(0 in axes for axes in found) else frozenset()

    def _name_tensors(self, outputs: dict[str, int]) -> None:
        """Give each blob's last tensor the blob's name, the outputs' first."""
        names: dict[str, str] = {}
        g = self.graph
        fixed = {name for name, _ in g.inputs} | set(g.constants)
        for name, b in outputs.items():
            tensor = self.values[b].name
            if tensor in fixed or tensor in names:
                with g.layer(name):
                    made = g.node("Identity", tensor)
                names[made] = name
                self.tops = [(i, c, made if c == b else t) for i, c, t in self.tops]
            else:
                names[tensor] = name
            g.outputs.append((name, self._dims(b)))
        for b, value in self.values.items():
            name = self.wiring.blob_names[b]
            taken = name in outputs or name in fixed  # an input that is written in place
            if value.name not in fixed and value.name not in names and not taken:
                names[value.name] = name
        g.rename(names)
        self.tops = [(i, b, names.get(tensor, tensor)) for i, b, tensor in self.tops]
