"""Where a run starts: initial weights and surgery, or a snapshot."""

import os
import tempfile
from contextlib import contextmanager

import surgery
from bootstrap import shown
from caffe.proto import caffe_pb2
from nets import weights
from solvers.errors import StartError


def weights_file(experiment, given, out):
    """The file to start from, or None for the fillers. MissingWeights if there should be one."""
    if not given and not experiment.init:
        return None
    places = [(path.format(out=out), origin) for path, origin in experiment.init]
    return weights.find(places, given, f"{experiment.name} starts from trained weights")


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
