"""What the engine's work costs on a GPU, counted on the pretend one: launches, copies, waits."""

import numpy as np
import pytest

import caffe
from caffe import layers as L


def small_net():
    """Data of its own, one convolution, a loss on pixels."""
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(
        shape=[dict(dim=[1, 3, 9, 9]), dict(dim=[1, 1, 9, 9])],
        data_filler=[dict(type="gaussian"), dict(type="constant", value=1)],
        ntop=2,
    )
    n.conv = L.Convolution(
        n.data, num_output=4, kernel_size=3, pad=1, weight_filler=dict(type="xavier")
    )
    n.relu = L.ReLU(n.conv, in_place=True)
    n.score = L.Convolution(n.relu, num_output=2, kernel_size=1, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=False))
    return n.to_proto()


@pytest.fixture
def solver(pretend, tmp_path, monkeypatch):
    """A solver on the pretend GPU that has done two steps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solver.prototxt").write_text(
        f"net_param {{ {small_net()} }} base_lr: 0.01 momentum: 0.9 lr_policy: 'fixed' "
        "random_seed: 1 snapshot_prefix: 's'"
    )
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    return solver


def uploads_of_a_step(pretend, solver):
    with pretend.counting() as counts:
        solver.step(1)
    return counts["H2D"]


@pytest.mark.parametrize("form", ["binary", "hdf5"])
def test_a_snapshot_costs_one_read_of_each_parameter_and_no_upload(pretend, solver, form):
    if form == "hdf5":
        solver.param.snapshot_format = 0
    before = uploads_of_a_step(pretend, solver)
    with pretend.counting() as counts:
        solver.snapshot()
    assert counts["D2H"] == 4 + 4  # parameters, history
    assert counts["H2D"] == 0
    assert uploads_of_a_step(pretend, solver) == before


def test_saving_weights_costs_no_upload(pretend, solver):
    before = uploads_of_a_step(pretend, solver)
    solver.net.save("w.caffemodel")
    solver.net.save_hdf5("w.h5")
    assert uploads_of_a_step(pretend, solver) == before


def test_reading_an_array_costs_one_upload_of_it(pretend, solver):
    before = uploads_of_a_step(pretend, solver)
    values = solver.net.params["conv"][0].data.copy()
    assert uploads_of_a_step(pretend, solver) == before + 1
    assert uploads_of_a_step(pretend, solver) == before
    assert (solver.net.params["conv"][0].data != values).any()


def test_the_warning_of_zero_weights_reads_little(pretend, tmp_path):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 500]))
    n.ip = L.InnerProduct(n.data, num_output=500, weight_filler=dict(type="xavier"))
    (tmp_path / "net.prototxt").write_text(str(n.to_proto()))
    net, other = (caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST) for _ in range(2))
    net.forward()
    other.share_with(net)  # the newest numbers are on the device
    with pretend.counting() as counts:
        other.forward()
    assert counts["D2H bytes"] <= 4 * (1024 + 500)


def test_shapes_that_share_memory_stay_on_the_device(pretend, tmp_path):
    """Flatten, Reshape, and a parameter shared under another shape."""
    n = caffe.NetSpec()
    shape = [dict(dim=[2, 3, 4, 4])]
    n.data = L.DummyData(shape=shape, data_filler=dict(type="gaussian"))
    shared = dict(name="w", share_mode=1, lr_mult=1)
    n.conv = L.Convolution(
        n.data,
        num_output=6,
        kernel_size=4,
        bias_term=False,
        param=dict(shared),
        weight_filler=dict(type="xavier"),
    )
    n.flat = L.Flatten(n.data)
    n.ip = L.InnerProduct(
        n.flat,
        num_output=6,
        bias_term=False,
        param=dict(shared),
        weight_filler=dict(type="xavier"),
    )
    n.back = L.Reshape(n.ip, shape=dict(dim=[2, 6, 1, 1]))
    n.loss = L.EuclideanLoss(n.back, n.conv)
    (tmp_path / "net.prototxt").write_text(str(n.to_proto()))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    net.forward_loss()
    net.backward_all()
    with pretend.counting() as counts:
        net.forward_loss()
        net.backward_all()
    assert counts["H2D bytes"] == 4 * 96, counts.lines("H2D")  # the data, drawn on the host
    assert counts["D2H bytes"] <= 4, counts.lines("D2H")
    np.testing.assert_allclose(
        net.blobs["conv"].data.reshape(2, 6), net.blobs["ip"].data, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("second", ["cpu", "mirror", "other"])
def test_a_net_goes_on_on_another_device(pretend, solver, second):
    """Forward here, backward there, and the step after it: no stale state, no mixed devices."""
    from caffe import device as devices

    there = {
        "cpu": devices.set_mode_cpu,
        "mirror": devices.set_mode_mirror,
        "other": lambda: pretend.set_mode_pretend(1),
    }[second]
    net = solver.net
    net.forward()
    there()
    net.backward()
    solver.step(1)
    pretend.set_mode_pretend()
    solver.step(1)
    there()
    assert np.isfinite(net.forward()["loss"]).all()
