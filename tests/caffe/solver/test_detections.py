"""Mean average precision: by hand in its three versions, in a solver's log, by caffe test."""

import h5py
import numpy as np
import pytest

import caffe
from caffe import glog
from caffe.cli import main
from caffe.errors import SolverError
from caffe.solver.detections import VERSIONS, AveragePrecision

# Ten objects; by falling score: right, wrong, right, right, wrong.
TRUE = [1, 0, 1, 1, 0]


def collected(order=range(5)):
    found = AveragePrecision()
    rows = [[0, 1, 0.9 - 0.1 * i, TRUE[i], 1 - TRUE[i]] for i in order]
    for part in (rows[:2], rows[2:]):
        counts = [[-1, 1, 5, -1, -1], [-1, 2, 0, -1, -1]]
        difficult = [[0, 1, 0.95, 0, 0]]
        found.add(np.array([[counts + difficult + part]], np.float32))
    return found


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("Integral", 0.1 * (1 + 2 / 3 + 3 / 4)),
        ("MaxIntegral", 0.1 * (1 + 3 / 4 + 3 / 4)),
        ("11point", (1 + 1 + 3 / 4 + 3 / 4) / 11),  # from recall 0, 0.1, 0.2, 0.3 on
    ],
)
@pytest.mark.parametrize("order", [range(5), (3, 0, 4, 1, 2)])
def test_by_hand(version, expected, order):
    found = collected(order)
    assert found.of_labels(version) == {1: pytest.approx(expected), 2: 0.0}
    assert found.mean(version) == pytest.approx(expected / 2)


def test_all_right_and_nothing_at_all():
    found = AveragePrecision()
    assert found.mean("Integral") == 0
    found.add(np.array([[-1, 1, 1, -1, -1], [0, 1, 0.5, 1, 0]], np.float32))
    assert [found.mean(version) for version in VERSIONS] == pytest.approx([1, 1, 1])


NET = """
layer {{ name: "d" type: "HDF5Data" top: "found" top: "label" include {{ phase: TEST }}
  hdf5_data_param {{ source: "{}" batch_size: 1 }} }}
layer {{ name: "e" type: "DetectionEvaluate" bottom: "found" bottom: "label" top: "e"
  detection_evaluate_param {{ num_classes: 3 }} include {{ phase: TEST }} }}
layer {{ name: "x" type: "DummyData" top: "x" top: "y"
  dummy_data_param {{ data_filler {{ value: 1 }} shape {{ dim: 2 dim: 1 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param {{ num_output: 1 weight_filler {{ value: 2 }} }} }}
layer {{ name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "l" }}
"""


@pytest.fixture
def net(tmp_path):
    """A net whose detections are one right of the label 1, one wrong; of the label 2 nothing."""
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        found = [[0, 1, 0.9, 0, 0, 0.5, 0.5], [0, 1, 0.8, 0.6, 0.6, 0.9, 0.9]]
        file["found"] = np.array([[found]], np.float32)
        file["label"] = np.array([[[[0, 1, 0, 0, 0, 0.5, 0.5, 0]]]], np.float32)
    (tmp_path / "list.txt").write_text(str(tmp_path / "rows.h5"))
    path = tmp_path / "net.prototxt"
    path.write_text(NET.format(tmp_path / "list.txt"))
    return path


def test_a_solver_logs_the_mean_and_each_label(net, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(glog._state, "level", 0)
    solver = tmp_path / "s.prototxt"
    words = f'net: "{net}" base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 10'
    words += ' max_iter: 1 snapshot_after_train: false eval_type: "detection"'
    solver.write_text(words + ' ap_version: "11point" show_per_class_result: true')
    caffe.get_solver(str(solver)).solve()
    told = capfd.readouterr().err
    assert "class1: 1\n" in told and "class2: 0\n" in told
    assert "Test net output #0: e = 0.5\n" in told
    assert "Test net output #1: l = 0.5 (* 1 = 0.5 loss)\n" in told
    solver.write_text(words + ' ap_version: "12point"')
    with pytest.raises(SolverError, match="Unknown ap_version: expected one of .*'12point'"):
        caffe.get_solver(str(solver))


def test_caffe_test_tells_all_three(net, tmp_path, capfd, monkeypatch):
    weights = str(tmp_path / "w.caffemodel")
    caffe.Net(str(net), caffe.TEST).save(weights)
    monkeypatch.setattr(glog._state, "level", 0)
    assert main(["test", f"-model={net}", f"-weights={weights}", "-iterations=2"]) == 0
    told = capfd.readouterr().err
    for version in VERSIONS:
        assert f"e = 0.5 ({version})" in told
    assert "Batch 1, l = 0.5" in told and "Batch 1, e" not in told
