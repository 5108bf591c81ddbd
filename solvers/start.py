"""Where a run starts: initial weights and surgery, or a snapshot."""

import os
import tempfile
from contextlib import contextmanager

import surgery
from bootstrap import shown
from caffe.proto import caffe_pb2
from solvers.errors import StartError


def weights_file(experiment, given, out):
    """The file to start from, or None for the fillers. StartError if there should be one."""
    if given:
        if not os.path.isfile(given):
            raise StartError(f"no such file: --weights {shown(given)}")
        return given
    paths = [(path.format(out=out), origin) for path, origin in experiment.init]
    for path, _ in paths:
        if os.path.isfile(path):
            return path
    if not paths:
        return None
    width = max(len(shown(os.path.abspath(path))) for path, _ in paths)
    lines = [
        "  {:<{}}  {}".format(shown(os.path.abspath(path)), width, origin) for path, origin in paths
    ]
    raise StartError(
        "{} starts from trained weights, and none are there. Put one of these in place, or name a "
        "file by --weights:\n{}".format(experiment.name, "\n".join(lines))
    )


def fresh(net, path):
    """Give a new net its initial weights, print what came from where."""
    if path is None:
        print("initial weights: fillers")
        report = None
    else:
        print(f"initial weights: {shown(os.path.abspath(path))}")
        report = surgery.load(net, path)
    upsampling = surgery.uses_upsampling(net)
    surgery.interp(net, upsampling)
    if report is not None:
        report.left = [(name, i) for name, i in report.left if name not in upsampling]
        print(report.summary())
    print("bilinear upsampling: {}".format(", ".join(upsampling)))


def positions(net):
    """{data layer: number of batches it has served}."""
    return {
        name: layer.position
        for name, layer in zip(list(net._layer_names), net.layers)
        if hasattr(layer, "seek")
    }


def restore(solver, path, state):
    """Put the solver where a snapshot left it: weights, history, iteration, data."""
    with _naming_weights_beside(path) as solverstate:
        solver.restore(solverstate)
    layers = dict(zip(list(solver.net._layer_names), solver.net.layers))
    for name, position in state["positions"].items():
        if name not in layers:
            raise StartError(f"{path} was taken with a data layer {name}, which the net lacks")
        layers[name].seek(position)


@contextmanager
def _naming_weights_beside(path):
    """A solverstate like the one at `path` that names the caffemodel beside it.

    Caffe writes down where the weights were. In a folder that was moved or copied since, that is
    another run's file or none, so a corrected copy is made.
    """
    weights = path[: -len("solverstate")] + "caffemodel"
    state = caffe_pb2.SolverState()
    with open(path, "rb") as f:
        state.ParseFromString(f.read())
    if os.path.exists(state.learned_net) and os.path.samefile(state.learned_net, weights):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        state.learned_net = os.path.abspath(weights)
        corrected = os.path.join(folder, os.path.basename(path))
        with open(corrected, "wb") as f:
            f.write(state.SerializeToString())
        yield corrected
