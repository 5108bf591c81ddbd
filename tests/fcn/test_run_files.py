"""The files of a run: what the command line changes in the catalog's nets and solvers."""

import ast

import pytest

from fcn import catalog, run_files
from fcn.prototxt import read_net, read_solver


def params_of(path):
    """The `param_str` of a net's data layer."""
    (layer,) = [layer for layer in read_net(path).layer if layer.type == "Python"]
    return ast.literal_eval(layer.python_param.param_str)


def solver_of(tmp_path, name, **more):
    experiment = catalog.experiment(name)
    changes = {"voc_dir": "elsewhere"}
    return read_solver(
        run_files.solver(experiment, str(tmp_path), "out/x", changes, steps=7, seed=3, **more)
    )


def test_workers_are_of_the_training_data_alone(tmp_path):
    said = params_of(catalog.net_path("voc-fcn4s-lite0", "train"))
    param = solver_of(tmp_path, "voc-fcn4s-lite0", workers=5)
    train = params_of(param.train_net)
    assert said["workers"] != 5 and train == dict(said, workers=5, voc_dir="elsewhere")
    val = params_of(param.test_net[0])
    assert val["voc_dir"] == "elsewhere" and "workers" not in val


@pytest.mark.parametrize("name, workers", [("voc-fcn4s-lite0", None), ("voc-fcn8s-atonce", 5)])
def test_without_the_option_or_the_key_the_net_decides(tmp_path, name, workers):
    said = params_of(catalog.net_path(name, "train"))
    train = params_of(solver_of(tmp_path, name, workers=workers).train_net)
    assert train == dict(said, **{key: "elsewhere" for key in said if key == "voc_dir"})


def test_a_poly_rate_ends_with_the_run_and_seed_and_prefix_are_the_runs(tmp_path):
    param = solver_of(tmp_path, "voc-fcn4s-lite0")
    assert param.lr_policy == "poly" and param.max_iter == 7
    assert (param.random_seed, param.snapshot_prefix, param.display) == (3, "out/x", 0)
    assert not param.HasField("snapshot")
