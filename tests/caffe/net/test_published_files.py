"""Every file of tests/published is read, and its nets run forward in the phases that they have."""

import sys
import warnings

import numpy as np
import pytest
from published_files import BOTH, FAMILIES, FOLDER, STATES, files, is_solver, make_data, texts

import caffe
from caffe.net.zero_weights import ZeroWeightsWarning
from caffe.prototxt import read_net, read_solver
from caffe.prototxt.crop_offsets import CropOffsetWarning
from caffe.prototxt.forks import ForeignFieldWarning

NETS = [name for name in files() if not is_solver(name)]
SOLVERS = [name for name in files() if is_solver(name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("published")
    make_data(path)
    return path


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("published_layer", None)


@pytest.mark.parametrize(
    ("name", "phase", "stages"),
    [(name, *state) for name in NETS for state in STATES.get(name, BOTH)],
)
def test_a_net_runs(name, phase, stages):
    caffe.set_random_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for expected in (ForeignFieldWarning, ZeroWeightsWarning, CropOffsetWarning):
            warnings.simplefilter("ignore", expected)
        net = caffe.Net(str(FOLDER / name), getattr(caffe, phase), stages=stages)
        out = net.forward()
    assert all(np.isfinite(value).all() for value in out.values())
    assert len(net.layers) > 2 and len(net.layer_dict) > 2


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_is_read_and_knows_its_rate(name):
    from caffe.solver.lr_policy import learning_rate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFieldWarning)
        solver = read_solver(FOLDER / name)
    assert solver.snapshot_prefix and learning_rate(solver, 7, 0)[0] > 0


def test_every_family_has_files_and_every_file_a_family():
    assert {name.partition("/")[0] for name in files()} | {row[0] for row in texts()} == set(
        FAMILIES
    )
    assert {name for name in STATES} <= set(NETS)
    for name in NETS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ForeignFieldWarning)
            assert read_net(FOLDER / name).name is not None
