"""Bad input, as a user meets it: one clear error, and nothing changed or written half."""

import os
import re

import numpy as np
import pytest

import caffe
from caffe.errors import DataError, LayerError, PrototxtError, WeightsError

NET = """
layer { name: "data" type: "Input" top: "data" top: "label" input_param {
  shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
layer { name: "first" type: "Convolution" bottom: "data" top: "first"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "score" type: "Convolution" bottom: "first" top: "score"
  convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" display: 0
snapshot: 1000 snapshot_prefix: "snap" """


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("net.prototxt", NET)
    write("solver.prototxt", SOLVER)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def values(net):
    return [blob.data.copy() for blobs in net.params.values() for blob in blobs]


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("num_output: 5", "num_ouput: 5", PrototxtError,
         ["net.prototxt:7:", "num_ouput", '"score"', 'Did you mean "num_output"?']),
        ('type: "SoftmaxWithLoss"', 'type: "SoftmaxWithLos"', LayerError,
         ["net.prototxt", "'loss'", "Unknown layer type: 'SoftmaxWithLos'",
          "Did you mean 'SoftmaxWithLoss'"]),
        ('bottom: "first"', 'bottom: "frist"', PrototxtError,
         ["net.prototxt", "Unknown bottom blob 'frist'", "'score'"]),
        ("dim: 2 dim: 1 dim: 4 dim: 4", "dim: 2 dim: 1 dim: 4 dim: 5", LayerError,
         ["net.prototxt", "'loss'", "(2, 5, 4, 4)", "(2, 1, 4, 5)", "number of labels"]),
    ],
    ids=["a misspelt field", "an unknown type", "an unknown bottom", "sizes that differ"],
)  # fmt: skip
def test_a_wrong_net_is_named_by_net_and_solver(old, new, error, words):
    write("net.prototxt", NET.replace(old, new))
    before = sorted(os.listdir())
    for build in (
        lambda: caffe.Net("net.prototxt", caffe.TRAIN),
        lambda: caffe.SGDSolver("solver.prototxt"),
    ):
        with pytest.raises(error) as caught:
            build()
        assert not [w for w in words if w not in str(caught.value)], str(caught.value)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("keep", [0.5, 0.9, -1])
def test_a_cut_caffemodel_changes_no_parameter(keep):
    source = caffe.Net("net.prototxt", caffe.TEST)
    source.save("whole.caffemodel")
    size = os.path.getsize("whole.caffemodel")
    with open("whole.caffemodel", "rb") as whole, open("cut.caffemodel", "wb") as cut:
        cut.write(whole.read()[: keep if keep < 0 else int(size * keep)])
    net = caffe.Net("net.prototxt", caffe.TEST)
    before = values(net)
    assert not equal(before, values(source))
    with pytest.raises(WeightsError, match=r"cut\.caffemodel.*(ends|missing|bytes)"):
        net.copy_from("cut.caffemodel")
    assert equal(values(net), before)
    with pytest.raises(WeightsError, match=r"cut\.caffemodel"):
        caffe.Net("net.prototxt", "cut.caffemodel", caffe.TEST)


def test_weights_of_another_shape_change_no_parameter():
    """The layer before the one that does not fit is not copied either."""
    caffe.Net("net.prototxt", caffe.TEST).save("five.caffemodel")
    write("net.prototxt", NET.replace("num_output: 5", "num_output: 6"))
    net = caffe.Net("net.prototxt", caffe.TEST)
    before = values(net)
    with pytest.raises(WeightsError) as caught:
        net.copy_from("five.caffemodel")
    message = str(caught.value)
    assert re.search(r"five\.caffemodel.*'score'.*shape mismatch", message)
    assert "5 4 1 1 (20)" in message and "6 4 1 1 (24)" in message and "rename" in message
    assert equal(values(net), before)


@pytest.mark.parametrize("label", [5, 254, -1])
def test_a_label_out_of_range_ends_the_step_before_the_update(label):
    solver = caffe.SGDSolver("solver.prototxt")
    solver.net.blobs["data"].data[...] = np.random.RandomState(0).randn(2, 3, 4, 4)
    solver.net.blobs["label"].data[0, 0, 0, 0] = 255
    solver.step(1)
    before = values(solver.net)
    solver.net.blobs["label"].data[1, 0, 2, 3] = label
    with pytest.raises(DataError) as caught:
        solver.step(1)
    message = str(caught.value)
    for words in (f"label {label} at (n, h, w) = (1, 2, 3)", "'loss'", "0 to 4", "ignore_label"):
        assert words in message, message
    assert solver.iter == 1 and equal(values(solver.net), before)
    solver.net.blobs["label"].data[1, 0, 2, 3] = 4
    solver.step(1)
    assert solver.iter == 2 and not equal(values(solver.net), before)


@pytest.mark.parametrize("call", ["save", "snapshot"])
def test_a_write_that_fails_leaves_the_old_file(call, monkeypatch):
    solver = caffe.SGDSolver("solver.prototxt")
    names = ["snap_iter_0.caffemodel", "snap_iter_0.solverstate"]
    write_now = {
        "save": lambda: solver.net.save(names[0]),
        "snapshot": lambda: solver.snapshot(),
    }[call]
    write_now()
    files = sorted(os.listdir())
    with open(names[0], "rb") as file:
        old = file.read()
    solver.net.params["first"][0].data[...] = 7

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match=r"snap_iter_0\.caffemodel.*No space left"):
        write_now()
    with open(names[0], "rb") as file:
        assert file.read() == old
    assert sorted(os.listdir()) == files


def test_a_cut_solverstate_leaves_the_solver_as_it_was():
    solver = caffe.SGDSolver("solver.prototxt")
    solver.step(2)
    solver.snapshot()
    solver.step(1)
    with open("snap_iter_2.solverstate", "rb") as file:
        whole = file.read()
    with open("cut.solverstate", "wb") as file:
        file.write(whole[: len(whole) // 2])
    before = values(solver.net)
    with pytest.raises(WeightsError, match=r"cut\.solverstate"):
        solver.restore("cut.solverstate")
    assert solver.iter == 3 and equal(values(solver.net), before)


@pytest.mark.parametrize(
    ("use", "error", "name"),
    [
        (lambda: caffe.Net("none.prototxt", caffe.TEST), PrototxtError, "none.prototxt"),
        (lambda: caffe.Net("net.prototxt", "none.caffemodel", caffe.TEST), WeightsError,
         "none.caffemodel"),
        (lambda: caffe.get_solver("none.prototxt"), PrototxtError, "none.prototxt"),
        (lambda: caffe.SGDSolver("solver.prototxt").restore("none.solverstate"), WeightsError,
         "none.solverstate"),
    ],
    ids=["net", "weights", "solver", "solverstate"],
)  # fmt: skip
def test_a_missing_file_is_named(use, error, name):
    with pytest.raises(error, match=re.escape(name)):
        use()
