"""Where a run starts: initial weights and surgery, or a snapshot."""

import os

import surgery
from bootstrap import shown
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
    solver.restore(path)
    layers = dict(zip(list(solver.net._layer_names), solver.net.layers))
    for name, position in state["positions"].items():
        if name not in layers:
            raise StartError(f"{path} was taken with a data layer {name}, which the net lacks")
        layers[name].seek(position)
