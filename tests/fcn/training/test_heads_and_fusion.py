"""Two heads, early and late fusion: two training steps of narrow nets on tiny data, as checked in.

What the losses must be is computed here from the scores and labels; that both programs agree on
all weights is compared elsewhere.
"""

import os

import data_samples
import numpy as np
import pytest

import bootstrap
import caffe
import surgery
from fcn import catalog, run_files
from fcn.atomic import write_text
from fcn.prototxt import read_net, read_solver, to_text

pytestmark = pytest.mark.slow

CHANNELS = 5


def narrow(path):
    """Few channels in the trunk, no dropout; the file is replaced."""
    param = read_net(path)
    layers = [layer for layer in param.layer if layer.type != "Dropout"]
    for layer in layers:
        if layer.type == "Convolution" and not layer.name.startswith("score"):
            layer.convolution_param.num_output = CHANNELS
    del param.layer[:]
    param.layer.extend(layers)
    write_text(path, to_text(param))


@pytest.fixture
def solver_of(tmp_path, monkeypatch):
    """A function: name of a row → its solver, on tiny data, with random weights."""
    monkeypatch.chdir(bootstrap.ROOT)
    caffe.set_mode_cpu()

    def make(name):
        experiment = catalog.experiment(name)
        folders = data_samples.make(experiment.dataset.name, str(tmp_path / "data"))
        path = run_files.solver(
            experiment, str(tmp_path), str(tmp_path / "snapshot"), folders, 2, 1
        )
        param = read_solver(path)
        for net in (param.train_net, param.test_net[0]):
            narrow(net)
        param.base_lr = 1e-6
        write_text(path, to_text(param))
        solver = caffe.get_solver(path)
        rng = np.random.RandomState(3)
        upsampling = surgery.uses_upsampling(solver.net)
        for layer, blobs in solver.net.params.items():
            if layer not in upsampling:
                weights = blobs[0].data
                weights[...] = rng.randn(*weights.shape) * np.sqrt(2.0 / weights[0].size)
        surgery.interp(solver.net, upsampling)
        return solver

    return make


def loss_of(scores, labels):
    """The summed loss over all pixels that are not 255, in double precision."""
    scores, labels = scores[0].astype(np.float64), labels[0, 0].astype(int)
    top = scores.max(axis=0)
    logarithms = scores - top - np.log(np.exp(scores - top).sum(axis=0))
    y, x = np.nonzero(labels != 255)
    assert 0 < len(y) < labels.size
    return -logarithms[labels[y, x], y, x].sum()


@pytest.mark.parametrize(
    "name, heads, first",
    [
        (
            "siftflow-fcn8s",
            [("score_sem", "sem", "loss"), ("score_geo", "geo", "loss_geo")],
            {"conv1_1": 3},
        ),
        ("nyud-fcn32s-color-d", [("score", "label", "loss")], {"conv1_1_bgrd": 4}),
        (
            "nyud-fcn32s-color-hha",
            [("score", "label", "loss")],
            {"conv1_1color": 3, "conv1_1hha": 3},
        ),
    ],
)
def test_two_steps(name, heads, first, solver_of):
    solver = solver_of(name)
    net = solver.net
    before = {layer: blobs[0].data.copy() for layer, blobs in net.params.items()}
    for _ in range(2):
        solver.step(1)
        for score, label, loss in heads:
            found = float(net.blobs[loss].data)
            want = loss_of(net.blobs[score].data, net.blobs[label].data)
            assert abs(found - want) <= 1e-4 * want
    upsampling = surgery.uses_upsampling(net)
    for layer, blobs in net.params.items():
        moved = np.abs(blobs[0].data - before[layer]).max()
        assert (moved == 0) == (layer in upsampling), layer
    for layer, channels in first.items():
        change = np.abs(net.params[layer][0].data - before[layer])
        assert change.shape == (CHANNELS, channels, 3, 3)
        assert (change.max(axis=(0, 2, 3)) > 0).all()  # every channel of the input is learnt from


def test_the_test_net_serves_its_list_once(solver_of):
    solver = solver_of("siftflow-fcn8s")
    net = solver.test_nets[0]
    net.share_with(solver.net)
    assert run_files.images(net) == ["coast_natu975", "highway_gre141"]
    shapes = []
    for _ in range(3):
        net.forward()
        assert net.blobs["sem"].data.shape == net.blobs["geo"].data.shape
        shapes.append(net.blobs["data"].data.shape[2:])
    assert shapes == [data_samples.SIZES[i % 3] for i in (3, 4, 3)]
    assert os.path.basename(net.layers[0].entries[0][2]) == "coast_natu975.mat"
