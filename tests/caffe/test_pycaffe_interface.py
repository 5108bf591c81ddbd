"""pycaffe's rules, one by one: what calls take, return and refuse, on a small net.

The file uses the public interface alone: with pytest it runs on BVLC Caffe as well (which
tests/oracle/pycaffe_both.py does), but for what that ends the process with.
"""

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict

import numpy as np
import pytest

import caffe
from caffe import _caffe

OURS = hasattr(caffe, "__engine__")

NET = """
name: "rules"
layer { name: "data" type: "Input" top: "data" top: "aim" input_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 4 } } }
layer { name: "z/ip" type: "InnerProduct" bottom: "data" top: "z" param { name: "w" }
        inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "tanh" type: "TanH" bottom: "z" top: "tanh" }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "aim" top: "loss" loss_weight: 0.5
        include { phase: TRAIN } }
layer { name: "a/out" type: "Power" bottom: "tanh" top: "a" power_param { scale: 2 } }
"""
DATA = np.arange(6, dtype=np.float32).reshape(2, 3) / 6
AIM = np.ones((2, 4), np.float32)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return str(tmp_path / "net.prototxt")


@pytest.fixture
def net(path):
    caffe.set_random_seed(3)
    return caffe.Net(path, caffe.TRAIN)


def expected_z(net):
    weights, bias = (blob.data for blob in net.params["z/ip"])
    return DATA @ weights.T + bias


# The module ---------------------------------------------------------------------------------------


def test_module():
    names = list(caffe.layer_type_list())
    assert names == sorted(names) and len(names) >= 26 and "Convolution" in names
    assert (caffe.TRAIN, caffe.TEST, caffe.__version__) == (0, 1, "1.0.0")
    assert caffe.set_mode_cpu() is None and caffe.set_random_seed(1) is None
    assert caffe.log("a line") is None
    assert caffe.classifier.Classifier is caffe.Classifier
    assert caffe.detector.Detector is caffe.Detector
    for solver in "SGD Nesterov AdaGrad RMSProp AdaDelta Adam".split():
        cls = getattr(caffe, solver + "Solver")
        assert issubclass(cls, caffe.SGDSolver) and issubclass(cls, _caffe.Solver)
        assert cls is getattr(caffe.pycaffe, cls.__name__) is getattr(_caffe, cls.__name__)
    for call in (
        lambda: caffe.log(3),
        lambda: caffe.init_log("all"),
        lambda: caffe.set_random_seed(1.5),
        lambda: caffe.set_random_seed("1"),
        lambda: caffe.set_solver_count("two"),
    ):
        with pytest.raises(TypeError):
            call()


def test_state_belongs_to_the_thread():
    seen = []
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    try:
        thread = threading.Thread(
            target=lambda: seen.extend([caffe.solver_count(), caffe.solver_rank()])
        )
        thread.start()
        thread.join()
        assert seen == [1, 0]
        assert (caffe.solver_count(), caffe.solver_rank()) == (2, 1)
    finally:
        caffe.set_solver_rank(0)
        caffe.set_solver_count(1)


def test_a_seed_decides_the_fillers(path):
    weights = []
    for seed in (4, 4, 5):
        caffe.set_random_seed(seed)
        weights.append(caffe.Net(path, caffe.TEST).params["z/ip"][0].data.copy())
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[1], weights[2])


# Net: construction --------------------------------------------------------------------------------


def test_constructors(path, net, tmp_path):
    saved = str(tmp_path / "weights")
    net.save(saved)
    for made in (
        caffe.Net(path, saved, caffe.TEST),
        caffe.Net(path, caffe.TEST, weights=saved),
        caffe.Net(network_file=path, phase=True, level=0, stages=None, weights=saved),
        caffe.Net(path, 1, 0, ["a", "b"], saved),
        caffe.Net(path.encode(), caffe.TEST, 0, (), saved),
    ):
        assert np.array_equal(made.params["z/ip"][0].data, net.params["z/ip"][0].data)
    for arguments in ((), (path,), (path, 1.0), (path, "TEST"), (None, 1), (path, 1, "0")):
        with pytest.raises(TypeError):
            caffe.Net(*arguments)
    for options in ({"stages": [1]}, {"weights": 3}, {"color": 1}):
        with pytest.raises(TypeError):
            caffe.Net(path, 1, **options)
    for call in (
        lambda: caffe.Net("nowhere.prototxt", 1),
        lambda: caffe.Net(path, 1, weights="nowhere.caffemodel"),
        lambda: caffe.Net(path, "nowhere.caffemodel", 1),
    ):
        with pytest.raises(RuntimeError, match="nowhere"):
            call()


def test_a_net_is_an_object_like_others(path, net):
    class Mine(caffe.Net):
        def __init__(self, file):
            caffe.Net.__init__(self, file, caffe.TEST)
            self.more = 1

        def twice(self):
            return self.forward(data=DATA, aim=AIM)["a"] * 2

    mine = Mine(path)
    mine.anything = [1]
    assert mine.more == 1 and mine.anything == [1] and mine.twice().shape == (2, 4)
    for name in ("blobs", "params", "layers", "inputs", "outputs", "layer_dict"):
        with pytest.raises(AttributeError):
            setattr(net, name, 1)
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError):
            call(net)


# Net: what it is made of --------------------------------------------------------------------------


def test_members(net):
    assert isinstance(net.blobs, OrderedDict) and net.blobs is net.blobs
    names = ["data", "aim", "z", "z_z/ip_0_split_0", "z_z/ip_0_split_1", "tanh", "loss", "a"]
    assert list(net.blobs) == names == list(net._blob_names)
    layers = ["data", "z/ip", "z_z/ip_0_split", "tanh", "loss", "a/out"]
    assert list(net._layer_names) == layers == list(net.layer_dict)
    assert [layer.type for layer in net.layers] == [
        "Input",
        "InnerProduct",
        "Split",
        "TanH",
        "EuclideanLoss",
        "Power",
    ]
    assert net.inputs == ["data", "aim"] and net.outputs == ["a", "loss"]
    assert [names[i] for i in net._inputs] == net.inputs
    assert [names[i] for i in net._outputs] == net.outputs
    assert net.blob_loss_weights == OrderedDict((n, 0.5 if n == "loss" else 0.0) for n in names)
    assert list(net._blob_loss_weights) == list(net.blob_loss_weights.values())
    assert net.top_names["data"] == ["data", "aim"] and net.bottom_names["data"] == []
    assert net.bottom_names["loss"] == ["z_z/ip_0_split_1", "aim"]
    assert [names[i] for i in net._top_ids(1)] == ["z"]
    assert [names[i] for i in net._bottom_ids(4)] == net.bottom_names["loss"]
    assert list(net.params) == ["z/ip"] and net.params is net.params
    assert [list(blob.shape) for blob in net.params["z/ip"]] == [[4, 3], [4]]
    assert [len(net._blobs), len(net.layers), len(net.layers[1].blobs)] == [8, 6, 2]
    assert net.layer_dict["z/ip"].blobs[0].data[0, 0] == net.params["z/ip"][0].data[0, 0]
    net.layers[1].blobs[0].data[...] = 7
    assert (net.params["z/ip"][0].data == 7).all()


def test_an_input_that_nobody_reads_is_an_output_too(tmp_path):
    (tmp_path / "n.prototxt").write_text(
        'layer { name: "i" type: "Input" top: "b" top: "a" input_param { shape { dim: 1 } } }'
    )
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST)
    assert net.inputs == ["b", "a"] and net.outputs == ["a", "b"]
    assert net.forward(a=np.ones(1), b=np.zeros(1))["a"][0] == 1


# Net: running -------------------------------------------------------------------------------------


def test_forward(net):
    out = net.forward(data=DATA, aim=AIM)
    assert sorted(out) == ["a", "loss"]
    z = expected_z(net)
    assert np.allclose(out["a"], 2 * np.tanh(z), atol=1e-6)
    assert np.allclose(out["loss"], ((z - 1) ** 2).sum() / 4, atol=1e-6)
    out["a"][...] = 5  # the blob's own memory
    assert (net.blobs["a"].data == 5).all()
    assert sorted(net.forward(blobs=["z", "data"])) == ["a", "data", "loss", "z"]
    assert list(net.forward(start="tanh", end="tanh")) == ["tanh"]
    assert sorted(net.forward(["a"], "tanh", "tanh")) == ["a", "tanh"]
    assert np.isclose(net._forward(0, 5), 0.5 * net.blobs["loss"].data)
    assert net._forward(0, 2) == 0


def test_forward_refuses(net):
    for options in ({"start": "nowhere"}, {"end": "nowhere"}):
        with pytest.raises(ValueError):
            net.forward(**options)
        with pytest.raises(ValueError):
            net.backward(**options)
    with pytest.raises(KeyError):
        net.forward(blobs=["nowhere"])
    for arrays in (
        {"data": DATA},
        {"data": DATA, "aim": AIM, "z": AIM},
        {"data": DATA[:1], "aim": AIM},
    ):
        with pytest.raises(Exception, match="do not match|not batch sized"):
            net.forward(**arrays)
    with pytest.raises(ValueError):
        net.forward(data=DATA[:, :2], aim=AIM)
    with pytest.raises(AttributeError):
        net.forward(data=DATA.tolist(), aim=AIM)
    net.forward(data=DATA[:, :1], aim=AIM)  # as NumPy assigns
    assert (net.blobs["data"].data == DATA[:, :1]).all()


def test_backward(net):
    net.forward(data=DATA, aim=AIM)
    assert sorted(net.backward()) == ["aim", "data"]
    z = expected_z(net)
    gradient = 0.5 * (z - 1) / 2
    assert np.allclose(net.params["z/ip"][0].diff, gradient.T @ DATA, atol=1e-6)
    found = net.backward(["tanh", "z"], "loss", "z/ip")
    assert sorted(found) == ["data", "tanh", "z"]
    assert np.allclose(net.params["z/ip"][1].diff, 2 * gradient.sum(0), atol=1e-6)  # added up
    net.clear_param_diffs()
    assert not net.params["z/ip"][1].diff.any()
    with pytest.raises(IndexError):  # the loss has no axis, let alone one of items
        net.backward(loss=np.float32(2), a=np.zeros((2, 4)))
    with pytest.raises(Exception, match="do not match"):
        net.backward(a=np.zeros((2, 4)))
    net._backward(5, 0)
    assert net.params["z/ip"][1].diff.any()


def test_any_number_of_items(path):
    net = caffe.Net(path, caffe.TEST)  # without the loss
    data = np.random.RandomState(0).rand(5, 3).astype(np.float32)
    aim = np.zeros((5, 4), np.float32)
    weights, bias = (blob.data for blob in net.params["z/ip"])
    out = net.forward_all(blobs=["tanh"], data=data, aim=aim)
    assert set(out) >= {"a", "tanh"} and out["a"].shape == (5, 4)
    assert np.allclose(out["tanh"], np.tanh(data @ weights.T + bias), atol=1e-6)
    batches = list(net._batch({"data": data}))
    assert [batch["data"].shape for batch in batches] == [(2, 3)] * 3
    assert not batches[2]["data"][1].any()
    if OURS:  # BVLC's fails for a blob without axes, such as a loss
        out = caffe.Net(path, caffe.TRAIN).forward_all(data=data, aim=aim)
        assert out["loss"].shape == (3,) and out["a"].shape == (5, 4)


@pytest.mark.skipif(not OURS, reason="BVLC's fails on Python 3.7 and later")
def test_any_number_of_items_backward(tmp_path):
    (tmp_path / "n.prototxt").write_text(
        'force_backward: true layer { name: "i" type: "Input" top: "x" '
        'input_param { shape { dim: 2 dim: 3 } } } layer { name: "p" type: "Power" bottom: "x" '
        'top: "y" power_param { power: 2 } }'
    )
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TRAIN)
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    outs, diffs = net.forward_backward_all(x=x, y=np.ones((5, 3)))
    assert np.allclose(outs["y"], x**2) and np.allclose(diffs["x"], 2 * x)


def test_callbacks(net):
    calls = []
    for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
        assert getattr(net, name)(lambda i, name=name: calls.append((name, i))) is None
    net.before_forward(lambda i: calls.append(("second", i)))
    net.forward(start="tanh", end="loss")
    assert calls == [
        ("before_forward", 3),
        ("second", 3),
        ("after_forward", 3),
        ("before_forward", 4),
        ("second", 4),
        ("after_forward", 4),
    ]
    del calls[:]
    net.backward()
    assert [i for name, i in calls if name == "before_backward"] == [5, 4, 3, 2, 1, 0]

    class MineError(Exception):
        pass

    def fail(i):
        raise MineError(i)

    net.before_forward(fail)
    with pytest.raises(MineError):
        net.forward()


def test_reshape(net):
    net.blobs["data"].reshape(5, 3)
    net.blobs["aim"].reshape(5, 4)
    assert list(net.blobs["a"].shape) == [2, 4]
    net.reshape()
    assert list(net.blobs["a"].shape) == [5, 4]
    net.blobs["data"].reshape(1, 3)
    net.blobs["aim"].reshape(1, 4)
    assert net.forward()["a"].shape == (1, 4)


# Net: parameters ----------------------------------------------------------------------------------


def test_files_and_sharing(path, net, tmp_path):
    net.params["z/ip"][0].diff[...] = 3
    binary, text = str(tmp_path / "w.caffemodel"), str(tmp_path / "w.h5")
    net.save(binary)
    other = caffe.Net(path, caffe.TEST)
    other.copy_from(binary)
    assert np.array_equal(other.params["z/ip"][0].data, net.params["z/ip"][0].data)
    assert not other.params["z/ip"][0].diff.any()
    if OURS:  # BVLC ends the process for a name with a slash
        net.save_hdf5(text)
        third = caffe.Net(path, caffe.TEST)
        third.load_hdf5(text)
        assert np.array_equal(third.params["z/ip"][0].data, net.params["z/ip"][0].data)
        fourth = caffe.Net(path, caffe.TEST, weights=text)
        assert np.array_equal(fourth.params["z/ip"][1].data, net.params["z/ip"][1].data)
    other.share_with(net)
    net.params["z/ip"][0].data[0] = 9
    net.params["z/ip"][0].diff[0] = 8
    assert (other.params["z/ip"][0].data[0] == 9).all()
    assert not other.params["z/ip"][0].diff.any()
    for call in (other.share_with, other.save, other.copy_from):
        with pytest.raises(TypeError):
            call(3)


# Blob ---------------------------------------------------------------------------------------------


def test_blob(net):
    blob = net.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 3, 1, 1, 6)
    assert blob.data is not blob.data and blob.data.dtype == np.float32
    assert blob.data.flags.writeable and blob.data.flags.c_contiguous
    assert net.blobs["loss"].data.shape == ()
    for name in ("data", "diff", "shape", "num", "count"):
        with pytest.raises(AttributeError):
            setattr(blob, name, 1)
    for dims in (((2, 3),), (2.0, 3), ("2", 3)):
        with pytest.raises(TypeError):
            blob.reshape(*dims)
    with pytest.raises((TypeError, RuntimeError)):
        blob.reshape(dims=3)
    blob.data[...] = DATA
    kept = blob.data
    blob.reshape(1, 2)
    assert blob.data.tolist() == [DATA.ravel()[:2].tolist()]
    blob.reshape(2, 3)
    assert np.array_equal(blob.data, DATA)
    blob.reshape()
    assert blob.data.shape == () and blob.count == 1
    if OURS:  # in BVLC this array would lie in freed memory
        blob.reshape(100, 100)
        assert not blob.data.any() and np.array_equal(kept, DATA)
    blob.reshape(2, 3)


def test_blobs_outlive_their_net(path):
    net = caffe.Net(path, caffe.TEST)
    net.forward(data=DATA, aim=AIM)
    blob, array = net.blobs["data"], net.blobs["aim"].data
    del net
    assert np.array_equal(blob.data, DATA) and np.array_equal(array, AIM)


# Solver -------------------------------------------------------------------------------------------


@pytest.fixture
def solver(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.prototxt").write_text(
        NET.replace(
            'type: "Input" top: "data" top: "aim" '
            "input_param {\n  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 4 } }",
            'type: "DummyData" top: "data" top: "aim" dummy_data_param { shape { dim: 2 dim: 3 } '
            'shape { dim: 2 dim: 4 } data_filler { type: "gaussian" } '
            'data_filler { type: "constant" value: 1 } }',
        )
    )
    (tmp_path / "solver.prototxt").write_text(
        'net: "train.prototxt" test_iter: 1 test_interval: 100 test_initialization: false '
        'base_lr: 0.1 lr_policy: "step" gamma: 0.5 stepsize: 2 max_iter: 7 display: 3 '
        'type: "Adam" snapshot_prefix: "s" random_seed: 1'
    )
    return caffe.SGDSolver("solver.prototxt")


def test_solver(solver):
    assert type(solver) is caffe.SGDSolver  # the class decides, not the file
    assert type(caffe.get_solver("solver.prototxt")) is caffe.AdamSolver
    assert solver.iter == 0 and len(solver.test_nets) == 1
    assert np.isclose(solver.lr, 0.1)
    param = solver.param
    assert (param.max_iter, param.display, param.layer_wise_reduce) == (7, 3, True)
    for name in ("iter", "net", "lr", "test_nets", "param"):
        with pytest.raises(AttributeError):
            setattr(solver, name, 1)
    before = solver.net.params["z/ip"][0].data.copy()
    assert solver.step(1) is None and solver.iter == 1
    after = solver.net.params["z/ip"][0]
    assert np.array_equal(after.data, before - after.diff) and after.diff.any()
    solver.step(1)
    assert np.isclose(solver.lr, 0.05)
    solver.param.base_lr = 1.0
    assert np.isclose(solver.lr, 0.5)
    solver.net.clear_param_diffs()
    solver.net.params["z/ip"][0].diff[...] = 1
    before = solver.net.params["z/ip"][0].data.copy()
    solver.apply_update()
    assert solver.iter == 3 and np.allclose(solver.net.params["z/ip"][0].data, before - 0.5)


def test_solver_callbacks_and_sharing(solver):
    calls = []
    solver.add_callback(lambda: calls.append("start"), lambda: calls.append("gradients"))
    solver.step(2)
    assert calls == ["start", "gradients"] * 2
    test = solver.test_nets[0].params["z/ip"][0]
    train = solver.net.params["z/ip"][0]
    assert not np.array_equal(test.data, train.data)  # until the first test
    solver.share_weights(solver.test_nets[0])
    train.data[...] = 4
    assert (solver.test_nets[0].params["z/ip"][0].data == 4).all()
    with pytest.raises(TypeError):
        solver.add_callback(lambda: None)
    solver.solve()
    assert solver.iter == 7 and os.path.exists("s_iter_7.caffemodel")


# coord_map ----------------------------------------------------------------------------------------


def test_coordinates_of_layers():
    from caffe import layers as L
    from caffe.coord_map import (
        PASS_THROUGH_LAYERS,
        UndefinedMapException,
        compose,
        coord_map,
        coord_map_from_to,
        crop,
        inverse,
    )

    data = L.Input(shape=dict(dim=[1, 3, 50, 50]))

    def found(top):
        axis, scale, shift = coord_map(top.fn)
        return axis, np.ravel(scale).tolist(), np.ravel(shift).tolist()

    conv = L.Convolution(data, kernel_size=5, stride=2, pad=1, num_output=1)
    assert found(conv) == (1, [0.5], [-0.5])
    wide = L.Convolution(data, convolution_param=dict(kernel_size=3, dilation=4, num_output=1))
    assert found(wide) == (1, [1.0], [-4.0])
    assert found(L.Pooling(data, kernel_size=2, stride=2)) == (1, [0.5], [-0.25])
    up = L.Deconvolution(conv, convolution_param=dict(kernel_size=4, stride=2, num_output=1))
    assert found(up) == (1, [2], [1.5])
    for name in PASS_THROUGH_LAYERS:
        assert coord_map(getattr(L, name)(data).fn) == (None, 1, 0)
    for name in ("InnerProduct", "Flatten", "Concat"):
        with pytest.raises(UndefinedMapException):
            coord_map(getattr(L, name)(data).fn)
    one = coord_map(conv.fn)
    axis, scale, shift = compose(one, inverse(one))
    assert axis == 1 and np.allclose([scale, shift], [[1], [0]])
    cropped = crop(
        L.Deconvolution(conv, convolution_param=dict(kernel_size=5, stride=2, pad=0, num_output=1)),
        data,
    )
    assert cropped.fn.params["crop_param"] == {"axis": 2, "offset": [1]}
    with pytest.raises(RuntimeError):
        coord_map_from_to(conv, L.Input(shape=dict(dim=[1, 3, 5, 5])))
    for top in (
        conv,
        L.Deconvolution(conv, convolution_param=dict(kernel_size=4, stride=2, num_output=1)),
    ):  # another scale, a fractional offset
        with pytest.raises(AssertionError):
            crop(top, data)


# Timer --------------------------------------------------------------------------------------------


def test_timer():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    timer.start()
    assert timer.ms >= 0
    first = timer.ms
    timer.stop()
    assert timer.ms == first


# What is no more ----------------------------------------------------------------------------------


@pytest.mark.skipif(not OURS, reason="BVLC only says that the attribute is missing")
def test_calls_of_2014_are_told_what_to_write(net):
    for name, advice in (
        ("set_phase_test", "caffe.TEST, weights="),
        ("set_mode_gpu", r"caffe\.set_mode_gpu\(\)"),
        ("set_mean", r"caffe\.io\.Transformer"),
        ("set_raw_scale", r"caffe\.io\.Transformer"),
        ("set_device", r"caffe\.set_device"),
    ):
        with pytest.raises(AttributeError, match=f"no attribute '{name}' in .* 1.0: .*{advice}"):
            getattr(net, name)
    with pytest.raises(AttributeError, match="no attribute 'foo'$"):
        net.foo  # noqa: B018
    with pytest.raises(AttributeError, match="set_phase_test.*caffe.TEST, weights="):
        caffe.set_phase_test()
    assert not hasattr(caffe, "foo") and not hasattr(net, "foo")
    assert "caffe.draw" in sys.modules or not hasattr(caffe, "draw")


@pytest.mark.slow
@pytest.mark.skipif(not OURS, reason="BVLC imports scikit-image and with it SciPy at once")
def test_packages_that_few_nets_need_are_imported_when_they_are_needed():
    code = (
        "import sys, caffe; caffe.layer_type_list(); "
        "print([name for name in ('h5py', 'lmdb', 'plyvel', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
