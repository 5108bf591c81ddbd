"""Passes replayed from CUDA graphs, on the pretend GPU: the same numbers as ordinary passes."""

import contextlib
import gc
import threading
import time
import weakref

import numpy as np
import pretend_device
import pretend_graphs
import pytest
import torch

import caffe
from caffe.arithmetic import _state
from caffe.blob import Blob
from caffe.kernels import device, tuning
from caffe.layer import convolution as convolution_layer
from caffe.net import replay

pytestmark = pytest.mark.slow

BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "pool1" type: "Pooling" bottom: "bn" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool1" top: "drop" }
layer { name: "score" type: "Convolution" bottom: "drop" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" param { lr_mult: 0 }
  convolution_param { num_output: 3 bias_term: false kernel_size: 4 stride: 2 } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop"
  crop_param { axis: 2 offset: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "crop" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""
NET = (
    """
name: "n"
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 1 dim: 2 dim: 8 dim: 10 } shape { dim: 1 dim: 1 dim: 8 dim: 10 } } }
"""
    + BODY
)


@pytest.fixture
def captured(pretend):
    """The graphs that nets on the pretend GPU capture."""
    with pretend_graphs.replayed() as graphs:
        yield graphs


def make(tmp_path, text=NET, phase=caffe.TRAIN):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    caffe.set_random_seed(3)
    net = caffe.Net(str(path), phase)
    up = net.params["up"][0].data
    up[range(3), range(3)] = np.outer([0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25])
    return net


def feed(net, size=(8, 10), seed=0):
    rng = np.random.RandomState(seed)
    net.blobs["data"].reshape(1, 2, *size)
    net.blobs["label"].reshape(1, 1, *size)
    net.blobs["data"].data[...] = rng.randn(1, 2, *size)
    net.blobs["label"].data[...] = rng.randint(0, 3, (1, 1, *size))


def everything(net):
    return {
        **{("data", n): b.data.copy() for n, b in net.blobs.items()},
        **{("diff", n): b.diff.copy() for n, b in net.blobs.items()},
        **{
            (n, i): (p.data.copy(), p.diff.copy())[k]
            for n, ps in net.params.items()
            for i, p in enumerate(ps)
            for k in (1,)
        },
    }


def run(net, script):
    """What a script leaves, step by step."""
    results = []
    for step in script:
        step(net)
        results.append(everything(net))
    return results


def step(size=(8, 10), seed=0):
    def act(net):
        feed(net, size, seed)
        net.clear_param_diffs()
        net.forward()
        net.backward()

    return act


def accumulate(net):
    net.forward()
    net.backward()


def write_weights(net):
    net.params["conv1"][0].data[...] *= 1.5
    net.params["up"][0].data[...] *= 0.5


def eager_forward(net):
    calls = net._passes.callbacks["before_forward"]
    calls.append(lambda i: None)
    net.forward()
    calls.pop()
    net.backward()


def partial(net):
    net.forward(start="pool1")
    net.backward(end="score")


SCRIPTS = {
    "repeats": [step(seed=i) for i in range(6)],
    "sizes": [step(((8, 10), (12, 6))[i % 2], i) for i in range(10)],
    "accumulates": [step(), *[accumulate] * 6, step(), *[accumulate] * 3],
    "weights": [
        *[step(seed=i) for i in range(5)],
        write_weights,
        *[step(seed=i) for i in range(5)],
    ],
    "callbacks": [*[step()] * 4, eager_forward, step(seed=5), eager_forward, step(seed=6)],
    "partial": [*[step()] * 4, *[partial] * 5, step(seed=5)],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_replayed_passes_leave_what_ordinary_ones_leave(name, tmp_path, captured, monkeypatch):
    monkeypatch.setattr(replay._state, "on", True)
    caffe.set_random_seed(3)
    got = run(make(tmp_path), SCRIPTS[name])
    assert len(captured) >= 2, "nothing was captured"
    monkeypatch.setattr(replay._state, "on", False)
    want = run(make(tmp_path), SCRIPTS[name])
    for i, (a, b) in enumerate(zip(got, want)):
        for key in b:
            assert np.allclose(a[key], b[key], rtol=1e-4, atol=1e-6), (i, key)


SMALL = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 4 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.3 } }
layer { name: "tanh" type: "TanH" bottom: "conv" top: "tanh" }
layer { name: "abs" type: "AbsVal" bottom: "tanh" top: "abs" }
layer { name: "relu2" type: "ReLU" bottom: "abs" top: "abs" }
"""


def seeded(seed):
    """Forward, then backward from a diff that the user gives and the last layer overwrites."""

    def act(net):
        rng = np.random.RandomState(seed)
        net.blobs["data"].data[...] = rng.randn(1, 2, 4, 5)
        net.clear_param_diffs()
        net.forward()
        net.blobs["abs"].diff[...] = rng.randn(1, 3, 2, 3)
        net.backward()

    return act


def test_a_diff_that_is_read_and_overwritten(tmp_path, captured):
    script = [seeded(i) for i in range(7)]
    got = run(make_small(tmp_path), script)
    assert len(captured) == 2
    caffe.set_graphs(False)
    try:
        want = run(make_small(tmp_path), script)
    finally:
        caffe.set_graphs(True)
    for a, b in zip(got, want):
        for key in b:
            assert np.allclose(a[key], b[key], rtol=1e-5, atol=1e-7), key


def make_small(tmp_path):
    path = tmp_path / "small.prototxt"
    path.write_text("force_backward: true" + SMALL)
    caffe.set_random_seed(3)
    return caffe.Net(str(path), caffe.TRAIN)


def test_a_range_that_cannot_be_captured_is_cut_around_the_layer(tmp_path, captured, monkeypatch):
    net = make_small(tmp_path)
    layer = net.layer_dict["abs"]
    forward = type(layer).forward

    def reads_the_host(self, bottoms, params):
        assert float(bottoms[0].abs().amax()) < 2
        return forward(self, bottoms, params)

    monkeypatch.setattr(type(layer), "forward", reads_the_host)
    want = None
    with pytest.warns(RuntimeWarning, match=r"'abs' .*without a CUDA graph: .*not permitted"):
        for i in range(12):
            seeded(0)(net)
            found = net.blobs["abs"].data.copy(), net.params["conv"][0].diff.copy()
            want = want or found
            assert all(np.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(found, want)), i
    ranges = net._passes.replay._ranges.values()
    assert any(len(r.layers) == 3 and r._recordings and not r.backward for r in ranges if r)


# What happens to a net between its passes ---------------------------------------------------------


def assert_replays_equal(make_net, script):
    """With and without graphs the script leaves the same."""
    got = run(make_net(), script)
    assert pretend_graphs.Backend.captured
    caffe.set_graphs(False)
    try:
        want = run(make_net(), script)
    finally:
        caffe.set_graphs(True)
    for i, (a, b) in enumerate(zip(got, want)):
        for key in b:
            assert np.allclose(a[key], b[key], rtol=1e-4, atol=1e-6), (i, key)


def test_another_blob_in_the_place_of_a_parameter(tmp_path, captured):
    def replace(net):
        blob = Blob((3, 2, 3, 3))
        blob.data[...] = 0.3
        net.params["conv"][0] = blob
        seeded(9)(net)

    script = [*[seeded(i) for i in range(5)], replace, *[seeded(i) for i in range(4)]]
    assert_replays_equal(lambda: make_small(tmp_path), script)


def test_what_inner_layers_keep(tmp_path, captured):
    """SPP's levels are layers of their own, new ones for each size of the image."""
    spp = """
layer { name: "spp" type: "SPP" bottom: "up" top: "spp"
  spp_param { pyramid_height: 2 pool: MAX } }
layer { name: "ip" type: "InnerProduct" bottom: "spp" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Reduction" bottom: "ip" top: "sum" loss_weight: 1 }
"""
    first = NET[: NET.index('layer { name: "relu1"')]
    up = NET[NET.index('layer { name: "up"') : NET.index('layer { name: "crop"')]
    text = first + up.replace('"score"', '"conv1"') + spp

    def other_forward(net):  # not replayed, unlike the backward pass after it
        feed(net, (8, 10), 77)
        net.clear_param_diffs()
        eager_forward(net)

    script = [*[step((8, 10), i) for i in range(5)], other_forward, step((12, 6)), other_forward]
    assert_replays_equal(lambda: make(tmp_path, text), script)


def test_upsampling_weights_written_between_forward_and_backward(tmp_path, captured):
    """The backward pass takes the weights as they are then; how the forward pass computed with the
    old ones must not matter."""

    def gradient(scale):
        def act(net):
            feed(net)
            net.clear_param_diffs()
            net.forward()
            net.params["up"][0].data[...] *= scale
            net.backward()
            net.params["up"][0].data[...] /= scale
            return net.params["score"][0].diff.copy()

        return act

    net = make(tmp_path, NET.replace('"Dropout"', '"TanH"'))
    want = gradient(1)(net)
    for scale in (2, 1, 1, 1, 1, 4, 1, 0.5):
        found = gradient(scale)(net)
        assert np.allclose(found, scale * want, rtol=1e-4, atol=1e-6), scale
    assert captured


def test_a_pass_that_may_be_captured_later_leaves_no_tensors(tmp_path, captured):
    """Images come in hundreds of sizes; the activations of one size can be a gigabyte."""
    net = make(tmp_path)
    for _ in range(2):
        step((12, 14))(net)
    old = [weakref.ref(net.blobs[name].data_storage.held) for name in ("data", "label")]
    step((8, 10))(net)
    gc.collect()
    assert not captured and [ref() for ref in old] == [None, None]


def test_graphs_of_memory_that_was_outgrown_are_let_go(tmp_path, captured):
    net = make(tmp_path)
    for _ in range(5):
        step((8, 10))(net)
    old = weakref.ref(net.blobs["pool1"].data_storage)
    for _ in range(5):
        step((16, 20))(net)
    gc.collect()
    assert old() is None and len(captured) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError])
def test_an_interrupted_capture_leaves_what_was_there(error, tmp_path, captured, monkeypatch):
    net = make(tmp_path)
    for i in range(2):
        step(seed=i)(net)

    launched_by = []

    def interrupted(self, *args):
        launched_by.append(pretend_device._run.__name__)
        raise error

    monkeypatch.setattr(type(net.layer_dict["drop"]), "forward", interrupted)
    with pytest.raises(error):
        step(seed=2)(net)
    assert launched_by == ["record"], "it did not come while a graph was captured"
    for name, values in everything(net).items():
        assert np.isfinite(values).all(), name


def test_weights_laid_out_anew_in_a_capture_that_failed(tmp_path, captured, monkeypatch):
    monkeypatch.setattr(_state, "precision", "tf32")  # wants channels-last weights
    net = make_small(tmp_path)
    for i in range(2):
        seeded(i)(net)
    net.params["conv"][0].data[...] *= 1.5

    launched_by = []

    def fails(self, *args):
        launched_by.append(pretend_device._run.__name__)
        raise RuntimeError("no")

    monkeypatch.setattr(type(net.layer_dict["abs"]), "forward", fails)
    with pytest.raises(RuntimeError, match="no"):
        seeded(2)(net)
    assert launched_by == ["record", "_run"], "it did not come while a graph was captured"
    assert np.isfinite(net.blobs["conv"].data).all()


def test_a_graph_whose_generators_were_renewed_is_not_replayed(tmp_path, captured):
    net = make(tmp_path)

    def dropped():
        caffe.set_random_seed(7)
        feed(net)
        net.forward()
        return net.blobs["drop"].data.copy()

    for _ in range(4):
        want = dropped()
    assert captured
    net.layer_dict["drop"].renew_generators()  # as after a capture that failed
    assert np.array_equal(dropped(), want)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_algorithms_are_searched_for_shapes_that_stay_alone(phase, tmp_path, captured, monkeypatch):
    """Sizes that come once pay for no search, and in TEST for no plan of cuDNN's."""
    seen = []
    reshape = replay._Range._learn

    def note(self, key, ordinary):
        cudnn = torch.backends.cudnn
        seen.append(("learn", cudnn.benchmark, tuning.is_passing(), tuning._mode.measures))
        return reshape(self, key, ordinary)

    monkeypatch.setattr(replay._Range, "_learn", note)
    passing = []
    forward = device.forward
    monkeypatch.setattr(
        convolution_layer.on_device,
        "forward",
        lambda *a, **k: (
            passing.append((tuning.is_passing(), torch.backends.cudnn.benchmark))
            or forward(*a, **k)
        ),
    )
    caffe.set_precision("tf32")
    try:
        net = make(tmp_path, phase=phase)
        for size in (8, 10, 12, 14):
            feed(net, (size, size))
            net.forward()
        assert set(passing) == {(phase == caffe.TEST, False)} and not seen
        for _ in range(4):
            net.forward()
        assert seen and set(seen) == {("learn", True, False, True)}
    finally:
        caffe.set_precision("fp32")
    assert not torch.backends.cudnn.benchmark


def test_nothing_is_searched_while_a_graph_is_captured(tmp_path, captured, monkeypatch):
    """cuDNN's search waits for the device; the algorithms found in the pass before are kept."""
    capture, seen = pretend_graphs.Backend.capture, []

    @contextlib.contextmanager
    def watched(graph):
        with capture(graph):
            yield
            seen.append((torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic))

    monkeypatch.setattr(pretend_graphs.Backend, "capture", staticmethod(watched))
    caffe.set_precision("tf32")
    try:
        net = make(tmp_path)
        for _ in range(5):
            feed(net)
            net.forward()
            net.backward()
    finally:
        caffe.set_precision("fp32")
    assert len(captured) == 2 and seen == [(False, False)] * 2


def test_one_thread_captures_at_a_time_and_cudnns_switches_come_back(
    tmp_path, captured, monkeypatch
):
    capture, inside, most = pretend_graphs.Backend.capture, [0], [0]

    @contextlib.contextmanager
    def watched(graph):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)  # let the other thread come here
        try:
            with capture(graph):
                yield
        finally:
            inside[0] -= 1

    monkeypatch.setattr(pretend_graphs.Backend, "capture", staticmethod(watched))
    nets, failures = [make(tmp_path) for _ in range(2)], []

    def work(net):
        try:
            pretend_device.set_mode_pretend()
            for _ in range(5):
                feed(net)
                net.forward()
                net.backward()
        except Exception as error:
            failures.append(error)

    was = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    caffe.set_precision("tf32")
    try:
        threads = [threading.Thread(target=work, args=(net,)) for net in nets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        caffe.set_precision("fp32")
    assert not failures and len(captured) == 4 and most == [1]
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == was


def test_a_graph_is_of_one_device(tmp_path, captured):
    """A net that moves to another GPU computes there, and not where its graph is."""
    net = make(tmp_path)
    for index in (0, 1, 0):
        pretend_device.set_mode_pretend(index)
        for _ in range(5):
            feed(net)
            net._forward(0, len(net.layers) - 1)
            where = net.blobs["score"].data_storage.held.device
            assert where == torch.device("pretend", index)
    assert len(captured) == 2


def test_upsampling_moves_from_one_gpu_to_another(tmp_path, captured):
    """Also where its weights have changed meanwhile."""
    net = make(tmp_path)
    for index in (0, 1, 0, 1):
        pretend_device.set_mode_pretend(index)
        feed(net)
        for changed in (False, True):
            if changed:
                net.params["up"][0].data[...] *= 1.5
            net.forward()
            found = net.blobs["up"].data.copy()
            caffe.set_mode_cpu()
            net.forward(start="up", end="up")
            np.testing.assert_allclose(net.blobs["up"].data, found, rtol=1e-5, atol=1e-6)
            pretend_device.set_mode_pretend(index)
