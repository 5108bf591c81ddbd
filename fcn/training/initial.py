"""Where a run starts: initial weights and surgery, or a snapshot."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import surgery
from bootstrap import shown
from caffe.proto import caffe_pb2
from fcn.catalog import BACKBONES
from fcn.catalog.ilsvrc import CONSISTS_OF
from fcn.errors import StartError
from fcn.heads.classes import SCORE
from fcn.weights import find

if TYPE_CHECKING:
    import caffe
    from fcn.catalog.experiment import Experiment


def weights_files(
    experiment: Experiment, given: Sequence[str] | None, out: str | None
) -> list[tuple[str, str]]:
    """[(file to start from, suffix of the layers that take it)]; empty: the fillers.

    given: the user's files, one for each of the experiment's sources. MissingWeights, StartError.
    """
    sources = experiment.init
    if given and len(given) != max(1, len(sources)):
        raise StartError(
            f"{experiment.name} starts from {max(1, len(sources))} files; --weights names "
            f"{len(given)}"
        )
    if given and not sources:
        return [(find.find((), given[0], ""), "")]
    found = []
    for i, source in enumerate(sources):
        places = [(path.format(out=out), origin) for path, origin in source.places]
        why = f"{experiment.name} starts from trained weights"
        if not places:
            why = (
                f"{experiment.name} starts from the weights of a net like it at stride "
                f"{2 * experiment.stride}, which nets/make.py --after DIR names"
            )
        if source.suffix:
            why += f" for its trunk '{source.suffix}'"
        found.append((find.find(places, given[i] if given else None, why), source.suffix))
    return found


def fresh(
    net: caffe.Net,
    files: Sequence[tuple[str, str]],
    widened: tuple[str, str] | None = None,
    replace_scores: bool = False,
    classes: tuple[str, str, Sequence[Sequence[int]]] | None = None,
) -> None:
    """Give a new net its initial weights, print what came from where.

    files: from `weights_files`. widened: (layer of the net, layer of the first file) where the net
    reads more channels than the weights were trained on, see `surgery.widen_input`. replace_scores:
    leave score layers of another number of classes at their fillers. classes: (score layer,
    classifier's layer in the first file, its classes for each of ours), see `surgery.take_classes`.
    StartError where they do not fit.
    """
    upsampling = surgery.uses_upsampling(net)
    filled: set[tuple[str, int]] = set()
    for path, suffix in files:
        taken = None
        print(f"initial weights: {shown(os.path.abspath(path))}")
        try:
            report = surgery.load(net, path, suffix, replace_scores=replace_scores)
        except surgery.SurgeryError as error:
            if "blob" not in str(error) or "score" not in str(error):
                raise
            raise StartError(
                f"{shown(os.path.abspath(path))} is of another number of classes; "
                f"--replace-scores learns the score layers anew and takes the rest ({error})"
            ) from error
        filled.update(report.copied, report.coerced)
        if widened:
            filled.update(surgery.widen_input(net, widened[0], path, widened[1]))
            report.dropped = [(name, i) for name, i in report.dropped if name != widened[1]]
        if classes and any(name == classes[1] for name, _ in report.dropped):
            filled.update(surgery.take_classes(net, classes[0], path, *classes[1:]))
            report.dropped = [(name, i) for name, i in report.dropped if name != classes[1]]
            taken = f"  {classes[0]}: {sum(map(bool, classes[2]))} of {len(classes[2])} classes "
            taken += f"start from classes of {classes[1]}"
        everything = [(name, i) for name, blobs in net.params.items() for i in range(len(blobs))]
        report.left = [
            pair for pair in everything if pair not in filled and pair[0] not in upsampling
        ]
        print(report.summary() + (f"\n{taken}" if taken else ""))
    if not files:
        print("initial weights: fillers")
    surgery.interp(net, upsampling)
    print("bilinear upsampling: {}".format(", ".join(upsampling)))


def classes_of(
    experiment: Experiment,
) -> tuple[str, str, list[tuple[int, ...]]] | None:
    """What `fresh` takes from a classifier for the score layer of the head "classes"; or None."""
    consists_of = CONSISTS_OF.get(experiment.dataset.name)
    classifier = BACKBONES[experiment.backbone].classifier
    if experiment.head != "classes" or not consists_of or not classifier:
        return None
    names = importlib.import_module("data." + experiment.dataset.name).CLASSES
    return SCORE, classifier, [consists_of.get(name, ()) for name in names]


def positions(net: caffe.Net) -> dict[str, Any]:
    """{data layer: number of batches it has served}."""
    return {
        name: layer.position
        for name, layer in zip(list(net._layer_names), net.layers)
        if hasattr(layer, "seek")
    }


def restore(solver: Any, path: str, state: dict[str, Any]) -> None:
    """Put the solver where a snapshot left it: weights, history, iteration, data."""
    with _naming_weights_beside(path) as solverstate:
        solver.restore(solverstate)
    layers = dict(zip(list(solver.net._layer_names), solver.net.layers))
    for name, position in state["positions"].items():
        if name not in layers:
            raise StartError(f"{path} was taken with a data layer {name}, which the net lacks")
        layers[name].seek(position)


@contextmanager
def _naming_weights_beside(path: str) -> Iterator[str]:
    """A solverstate like the one at `path` that names the caffemodel beside it.

    Caffe writes down where the weights were. In a folder that was moved or copied since, that is
    another run's file or none, so a corrected copy is made.
    """
    beside = path[: -len("solverstate")] + "caffemodel"
    state = caffe_pb2.SolverState()
    with open(path, "rb") as f:
        state.ParseFromString(f.read())
    if os.path.exists(state.learned_net) and os.path.samefile(state.learned_net, beside):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        state.learned_net = os.path.abspath(beside)
        corrected = os.path.join(folder, os.path.basename(path))
        with open(corrected, "wb") as f:
            f.write(state.SerializeToString())
        yield corrected
