"""Nets as ONNX files, each proved against the engine before it is there.

``to_onnx("deploy.prototxt", "model.caffemodel", "model.onnx")`` writes the layers of a net in TEST
as operators, one layer after another, under the layers' names; the command ``caffe export`` does
the same.  Needs the packages onnx and onnxruntime: ``pip install "pycaffe-torch[onnx]"``.

Each family of layers has a file here, a table (:mod:`caffe.export.table`) says which function
writes which type, :mod:`caffe.export.check` compares.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe.atomic import atomic_path
from caffe.data.image_resize import resize_image
from caffe.export import check, feeds, prepare, sizes
from caffe.export.graph import ExportError, NeedsFixed
from caffe.export.model import OPSET, require, save, to_model
from caffe.export.walk import Preprocessing, Written, walk
from caffe.net import Net

__all__ = ["ExportError", "Exported", "Proof", "to_onnx"]


class Proof(NamedTuple):
    """One comparison: what was run, the inputs' shapes, output -> largest relative difference."""

    what: str
    shapes: dict[str, tuple[int, ...]]
    differences: dict[str, float]


class Exported(NamedTuple):
    """What was written.

    inputs, outputs: names and sizes, free ones by name.
    proofs: the comparisons, none with ``check=False``.
    half: output -> how far the weights of 16 bits move it, None without ``half``.
    notes: what was left out or stays fixed, and why.
    """

    path: str
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    nodes: int
    proofs: list[Proof]
    half: dict[str, float] | None
    notes: list[str]


def to_onnx(
    net: Net | str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    path: str | os.PathLike[str],
    *,
    outputs: Sequence[str] = (),
    dynamic: bool | Iterable[str] = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    mean: Sequence[float] = (),
    rgb: bool = False,
    scale: float = 1.0,
    half: bool = False,
    images: Sequence[np.ndarray] = (),
    check: bool = True,
    seed: int = 0,
) -> Exported:
    """Write a net as an ONNX file.

    Args:
        net: a prototxt, or a net in TEST.
        weights: a caffemodel or HDF5 file; None for those that the net has.
        path: the file; it is there whole and proved, or not at all.
        outputs: names of blobs; by default what no layer reads.
        dynamic: True for batch, height and width as far as the net allows, or names of those that
            have to be free.
        shapes: input -> another shape than the prototxt's.
        mean, rgb, scale: what the graph does to the image first: turn RGB into the net's BGR,
            subtract the mean of each channel (in the net's order), multiply.
        half: store the weights in 16 bits.
        images: further inputs to compare with, (C, H, W) or (N, C, H, W), as the graph takes them.
        check: False leaves the comparison out; the file's metadata say so.
        seed: of the random numbers to compare with.

    Returns:
        What was written, and how far it is from the engine.

    Raises:
        ExportError: a layer or a size that cannot be exported, a graph whose numbers differ, or a
            package that is missing.
        Error: the net or its weights cannot be read.
    """
    require("onnx")
    if check:
        require("onnxruntime")
    made = prepare.prepared(net, weights, shapes)
    preprocessing = Preprocessing(tuple(float(m) for m in mean), rgb, float(scale))
    full = None
    random = feeds.feeds(made, seed)
    if half:
        plain = walk(made, sizes.probe(made, ()), outputs, preprocessing)
        full = _Runs(made, plain, preprocessing).engine(random)
        _round_weights(made)
    found, kinds, written = _written(made, outputs, preprocessing, dynamic)
    given = [_given(made, written, kinds, image) for image in images]
    proofs: list[Proof] = []
    moved = None
    runs = _Runs(made, written, preprocessing)
    with atomic_path(path) as temporary:
        if check:
            # With further outputs at first; and what is found is part of the file.
            more = runs.more_outputs(list(runs.looked_at))
            save(to_model(more, made.name or "net", half), temporary, examine=False)
            session = runs.session(temporary)
            for what, values in _inputs(made, found, kinds, random, given, seed):
                proofs.append(_prove(runs, session, what, values))
            del session
        if full is not None:
            rounded = runs.engine(random)
            moved = {name: _check.difference(full[name], rounded[name]) for name in rounded}
        metadata = _metadata(net, weights, proofs, written, preprocessing, moved)
        save(to_model(written.graph, made.name or "net", half, metadata), temporary)
        if check:
            _judge(runs, runs.confirm(temporary, random), "random numbers", random)
    g = written.graph
    return Exported(
        os.fspath(path),
        {name: list(dims) for name, dims in g.inputs},
        {name: list(dims) for name, dims in g.outputs},
        len(g.nodes),
        proofs,
        moved,
        written.notes,
    )


_check = check  # the parameter of `to_onnx` has the module's name
_Runs = check.Runs


def _written(
    net: Net, outputs: Sequence[str], preprocessing: Preprocessing, dynamic: bool | Iterable[str]
) -> tuple[sizes.Sizes, list[str], Written]:
    """The graph with as many free sizes as were asked for, or where that is left open, allowed."""
    kinds = list(sizes.KINDS) if dynamic is True else list(dynamic or ())
    for kind in kinds:
        if kind not in sizes.KINDS:
            raise ExportError(f"dynamic sizes are {', '.join(sizes.KINDS)}; received '{kind}'")
    notes: list[str] = []
    while True:
        found = sizes.probe(net, kinds)
        refused = dict(found.refused)
        if not refused:
            try:
                written = walk(net, found, outputs, preprocessing)
                return found, kinds, written._replace(notes=notes + written.notes)
            except NeedsFixed as error:
                refused = {kind: str(error) for kind in ("height", "width") if kind in kinds}
                if not refused:
                    raise
        for kind, why in refused.items():
            if dynamic is not True:
                raise ExportError(f"{kind} cannot be dynamic: {why}")
            notes.append(f"{kind} stays fixed: {why}")
            kinds.remove(kind)


def _round_weights(net: Net) -> None:
    """Every parameter to 16 bits; raises ExportError where one is too large for them."""
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            with np.errstate(over="ignore"):
                narrow = blob.data.astype(np.float16).astype(np.float32)
            if not np.isfinite(narrow).all() and np.isfinite(blob.data).all():
                raise ExportError(
                    f"layer '{name}': blob {index} holds values above 65504, which 16 bits do not "
                    "hold; export without --half"
                )
            if net.layer_dict[name].type != "BatchNorm":  # statistics stay in 32 bits
                blob.data[...] = narrow


def _given(
    net: Net, written: Written, kinds: Sequence[str], image: np.ndarray
) -> tuple[str, np.ndarray]:
    """The input that an image is for, and the image as it takes it: at its size where that is
    fixed, grey where it has one channel."""
    array = np.asarray(image, np.float32)
    array = array[None] if array.ndim == 3 else array
    for name in [written.image] if written.image else net.inputs:
        shape = tuple(net.blobs[name].dims)
        if len(shape) != 4 or array.ndim != 4:
            continue
        if shape[1] == 1 and array.shape[1] == 3:
            array = array.mean(1, keepdims=True)
        if array.shape[1] != shape[1]:
            continue
        height = array.shape[2] if "height" in kinds else shape[2]
        size = (height, array.shape[3] if "width" in kinds else shape[3])
        if size != array.shape[2:]:
            array = np.stack([resize_image(x.transpose(1, 2, 0), size) for x in array])
            array = array.transpose(0, 3, 1, 2)
        if len(array) != shape[0]:
            array = np.broadcast_to(array[:1], (shape[0], *array.shape[1:]))
        return name, np.ascontiguousarray(array)
    raise ExportError(f"no input takes an image of the shape {array.shape}")


def _inputs(
    net: Net,
    found: sizes.Sizes,
    kinds: Sequence[str],
    random: dict[str, np.ndarray],
    given: Sequence[tuple[str, np.ndarray]],
    seed: int,
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """What is compared: random numbers at the sizes of the export, the images, and where sizes are
    free, random numbers at others."""
    yield "random numbers", random
    for number, (name, image) in enumerate(given, 1):
        yield f"image {number}", {**random, name: image}
    if kinds:
        _reshape(net, {name: values.shape for name, values in random.items()})
        other = sizes.second(net, found, kinds)
        if other is None:
            raise ExportError(
                f"no other sizes of {', '.join(kinds)} were found that the net takes, so that the "
                "export cannot be proved at a second one: export it without --dynamic"
            )
        _reshape(net, other)
        yield "random numbers", feeds.feeds(net, seed + 1)


def _reshape(net: Net, shapes: Mapping[str, Sequence[int]]) -> None:
    for name, shape in shapes.items():
        net.blobs[name].reshape(*shape)
    net.reshape()


def _prove(runs: Any, session: Any, what: str, values: dict[str, np.ndarray]) -> Proof:
    return _judge(runs, runs.compare(session, values), what, values)


def _judge(
    runs: Any, differences: dict[str, float], what: str, values: dict[str, np.ndarray]
) -> Proof:
    shapes = {name: values[name].shape for name in runs.written.inputs}
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= _check.LIMIT:
        sizes_text = ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in shapes.items())
        raise ExportError(
            f"the graph is wrong: '{worst}' differs by {differences[worst]:.1e} from the engine's "
            f"on {what} ({sizes_text}), more than {_check.LIMIT:g}; "
            f"{_check.first_different(runs, values)}. Nothing was written"
        )
    return Proof(what, shapes, differences)


def _metadata(
    net: Any,
    weights: Any,
    proofs: Sequence[Proof],
    written: Written,
    preprocessing: Preprocessing,
    moved: dict[str, float] | None,
) -> dict[str, str]:
    """What the file says of itself."""
    from caffe import _shadow

    source = net._source if isinstance(net, Net) else os.fsdecode(net)
    result = {"source": os.path.basename(source)}
    if weights is not None:
        result["weights"] = os.path.basename(os.fsdecode(weights))
    if preprocessing:
        result["preprocessing"] = (
            f"of '{written.image}': {'RGB to BGR, ' if preprocessing.rgb else ''}"
            f"less {list(preprocessing.mean) or 0}, times {preprocessing.scale:g}"
        )
    if proofs:
        worst = max(max(p.differences.values()) for p in proofs)
        runtime = require("onnxruntime").__version__
        result["checked"] = (
            f"ONNX Runtime {runtime} differs by {worst:.1e} at most from pycaffe-torch "
            f"{_shadow.own_version()}, relative to the largest value of an output"
        )
    else:
        result["checked"] = "no: the export was made with --no-check"
    if moved is not None:
        result["half"] = f"weights of 16 bits; they move the outputs by {max(moved.values()):.1e}"
    if written.notes:
        result["notes"] = "\n".join(written.notes)
    result["opset"] = str(OPSET)
    return result
