"""Wide padding computed short on a GPU: every number is the CPU's, whoever looks, and when."""

import warnings

import numpy as np
import pretend_graphs
import pytest

import caffe
from caffe import device as devices
from caffe.layer.convolution import Convolution
from caffe.net import border_step, replay

CONV = """
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  param {{ lr_mult: {rate} }} param {{ lr_mult: {rate} }}
  convolution_param {{ num_output: {n} kernel_size: 3 pad: {pad}
    weight_filler {{ type: "msra" }} bias_filler {{ type: "gaussian" std: 0.1 }} }} }}
layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}
"""
POOL = """
layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
"""
END = """
layer { name: "fc" type: "Convolution" bottom: "pool2" top: "fc"
  convolution_param { num_output: 3 kernel_size: 5 weight_filler { type: "msra" } } }
layer { name: "side" type: "Convolution" bottom: "pool2" top: "side"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "wanted" top: "loss" }
layer { name: "loss2" type: "EuclideanLoss" bottom: "side" bottom: "wanted2" top: "loss2" }
"""
BETWEEN = ["conv1", "conv2", "pool1", "conv3", "conv4"]


def net_text(pad=30, size=(14, 11), rates=(1, 1), batch=2):
    body = "".join(
        CONV.format(name=name, bottom=bottom, n=n, pad=p, rate=rate)
        if p
        else POOL.format(name=name, bottom=bottom)
        for name, bottom, n, p, rate in [
            ("conv1", "data", 4, pad, rates[0]),
            ("conv2", "conv1", 5, 1, rates[1]),
            ("pool1", "conv2", 0, 0, 0),
            ("conv3", "pool1", 6, 1, 1),
            ("conv4", "conv3", 4, 1, 1),
            ("pool2", "conv4", 0, 0, 0),
        ]
    )
    h, w = ((-(-(s + 2 * pad - 2) // 2) + 1) // 2 for s in size)
    shapes = [(batch, 3, *size), (batch, 3, h - 4, w - 4), (batch, 2, h, w)]
    inputs = "".join("shape { " + " ".join(f"dim: {d}" for d in s) + " } " for s in shapes)
    return (
        'layer { name: "in" type: "Input" top: "data" top: "wanted" top: "wanted2" input_param { '
        + inputs
        + "} }"
        + body
        + END
    )


def make(folder, text, phase=caffe.TRAIN, seed=0):
    (folder / "net.prototxt").write_text(text)
    caffe.set_random_seed(3)
    net = caffe.Net(str(folder / "net.prototxt"), phase)
    feed(net, seed)
    return net


def feed(net, seed=0):
    rng = np.random.RandomState(seed)
    for name in ("data", "wanted", "wanted2"):
        net.blobs[name].data[...] = rng.randn(*net.blobs[name].shape)


def everything(net):
    found = {("data", n): b.data.copy() for n, b in net.blobs.items()}
    found.update({("diff", n): b.diff.copy() for n, b in net.blobs.items()})
    for n, blobs in net.params.items():
        found.update({("grad", n, i): b.diff.copy() for i, b in enumerate(blobs)})
    return found


def assert_near(found, expected, rtol=2e-5):
    for key, values in expected.items():
        error = np.abs(found[key] - values).max() / max(np.abs(values).max(), 1e-20)
        assert error <= rtol, (key, error)


def step_of(net):
    (step,) = net._passes.plan._borders.values()
    return step


def short(net):
    return step_of(net)._conv.short is not None


def on_cpu_and(set_there, folder, text, act, phase=caffe.TRAIN):
    """What ``act(net)`` leaves on the CPU, and on the device that was the thread's."""
    device = devices.current()
    devices.set_mode_cpu()
    net = make(folder, text, phase)
    act(net)
    expected = everything(net)
    devices._mode.device = device
    net = make(folder, text, phase)
    act(net)
    return net, expected


def forward_backward(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()


@pytest.mark.parametrize("size", [(14, 11), (9, 22), (1, 1)])
@pytest.mark.parametrize("pad", [30, 17])
def test_all_blobs_and_gradients_are_the_cpus(device, tmp_path, size, pad):
    net, expected = on_cpu_and(device, tmp_path, net_text(pad, size), forward_backward)
    assert short(net) == (device != "cpu")
    assert_near(everything(net), expected)


def test_fewer_numbers_are_computed(pretend, tmp_path, monkeypatch):
    seen = []
    compute = Convolution.compute
    monkeypatch.setattr(
        Convolution,
        "compute",
        lambda self, x, *a, **k: (
            seen.append((self.name, *x.shape[2:])) or compute(self, x, *a, **k)
        ),
    )
    net = make(tmp_path, net_text())
    net.forward()
    assert dict((name, (h, w)) for name, h, w in seen) == {
        "conv1": (14, 11),  # with a pad of 8
        "conv2": (28, 25),  # of 72 x 69
        "conv3": (28, 27),  # of 36 x 35
        "conv4": (28, 27),
        "fc": (18, 18),
        "side": (18, 18),
    }


@pytest.mark.parametrize("rates", [(0, 1), (0, 0)])
def test_frozen_layers_get_no_gradient(pretend, tmp_path, rates):
    net, expected = on_cpu_and(pretend, tmp_path, net_text(rates=rates), forward_backward)
    assert_near(everything(net), expected)


def test_gradients_add_up(pretend, tmp_path):
    def twice(net):
        forward_backward(net)
        feed(net, 1)
        net.forward()
        net.backward()

    net, expected = on_cpu_and(pretend, tmp_path, net_text(), twice)
    assert_near(everything(net), expected)


@pytest.mark.parametrize("name", BETWEEN)
def test_a_blob_that_was_read_or_written_before_backward_counts(pretend, tmp_path, name):
    def act(net):
        net.forward()
        net.blobs[name].data[...] *= 0.5
        net.backward()

    net, expected = on_cpu_and(pretend, tmp_path, net_text(), act)
    assert_near(everything(net), expected)


@pytest.mark.parametrize("start, end", [("fc", "conv4"), ("pool2", "conv2"), ("loss2", "pool1")])
def test_backward_in_two_parts(pretend, tmp_path, start, end):
    names = ["conv1", "conv2", "pool1", "conv3", "conv4", "pool2"]

    def act(net):
        net.forward()
        net.backward(end=end)
        below = net._layer_names[list(net._layer_names).index(end) - 1]
        net.backward(start=below)

    assert end in names
    net, expected = on_cpu_and(pretend, tmp_path, net_text(), act)
    assert_near(everything(net), expected)


def test_forward_in_two_parts(pretend, tmp_path):
    def act(net):
        net.forward()
        net.blobs["pool1"].data[...] += 1
        net.forward(start="conv3")
        net.backward()

    net, expected = on_cpu_and(pretend, tmp_path, net_text(), act)
    assert_near(everything(net), expected)


def test_diffs_are_those_of_the_weights_before_the_update(pretend, tmp_path):
    def act(net):
        forward_backward(net)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] -= 0.1 * blob.diff

    net, expected = on_cpu_and(pretend, tmp_path, net_text(), act)
    assert_near(everything(net), expected)


def test_an_array_that_was_kept_shows_the_next_pass_when_it_is_asked_for_again(pretend, tmp_path):
    net = make(tmp_path, net_text())
    net.forward()
    kept = net.blobs["conv2"].data
    first = kept.copy()
    feed(net, 1)
    net.forward()
    again = net.blobs["conv2"].data
    assert again.ctypes.data == kept.ctypes.data
    assert (kept != first).any()


def test_the_device_changes_between_forward_and_backward(pretend, tmp_path):
    devices.set_mode_cpu()
    net = make(tmp_path, net_text())
    forward_backward(net)
    expected = everything(net)
    pretend.set_mode_pretend()
    net = make(tmp_path, net_text())
    net.forward()
    devices.set_mode_cpu()
    net.backward()
    assert_near(everything(net), expected)


def test_sizes_change(pretend, tmp_path):
    def act(net):
        for size in (30, 3, 14):
            net.blobs["data"].reshape(2, 3, size, 11)
            high = (-(-(size + 58) // 2) + 1) // 2
            net.blobs["wanted"].reshape(2, 3, high - 4, 14)
            net.blobs["wanted2"].reshape(2, 2, high, 18)
            feed(net, size)
            forward_backward(net)

    net, expected = on_cpu_and(pretend, tmp_path, net_text(), act)
    assert_near(everything(net), expected)


def test_nets_that_do_not_qualify_have_no_step(tmp_path):
    assert not make(tmp_path, net_text(pad=2, size=(20, 20)))._passes.plan._borders
    text = net_text() + 'layer { name: "s" type: "Silence" bottom: "conv1" }'
    net = make(tmp_path, text)
    assert not net._passes.plan._borders  # its Split reads conv1
    net = make(tmp_path, "force_backward: true\n" + net_text())
    assert not net._passes.plan._borders


def test_bf16_is_near_what_whole_maps_give(pretend, tmp_path, monkeypatch):
    caffe.set_precision("bf16")
    try:
        net = make(tmp_path, net_text())
        forward_backward(net)
        assert short(net)
        found = everything(net)
        net = make(tmp_path, net_text())
        net._passes.plan._borders.clear()
        forward_backward(net)
        expected = {k: v for k, v in everything(net).items() if k[0] != "diff"}
        assert_near(found, expected, rtol=5e-2)
    finally:
        caffe.set_precision("fp32")


@pytest.mark.slow
def test_replayed_passes_leave_the_same(pretend, tmp_path, monkeypatch):
    def script(net):
        results = []
        for k in range(9):
            feed(net, k)
            if k in (5, 8):  # somebody looks in between
                net.forward()
                net.blobs["conv3"].data[...] *= 2
                net.backward()
            else:
                forward_backward(net)
            if k in (3, 4, 6):
                for blobs in net.params.values():
                    blobs[0].data[...] *= 0.9
            results.append(everything(net) if k in (0, 4, 5, 7, 8) else None)
        return results

    with pretend_graphs.replayed() as graphs:
        found = script(make(tmp_path, net_text()))
        assert len(graphs) >= 2
    monkeypatch.setattr(replay._state, "on", False)
    for one, other in zip(found, script(make(tmp_path, net_text()))):
        if one is not None:
            assert_near(one, other, rtol=0)


@pytest.mark.slow
def test_passes_with_a_look_in_between_are_replayed_too(pretend, tmp_path, monkeypatch):
    """Backward is then an ordinary pass, which needs the places of the maxima."""

    def script(net):
        results = []
        for k in range(7):
            feed(net, k)
            net.clear_param_diffs()
            net.forward()
            net.blobs["conv3"].data[...] *= 2
            net.backward()
            results.append(everything(net))
        return results

    with warnings.catch_warnings(), pretend_graphs.replayed() as graphs:
        warnings.simplefilter("error")  # of a range that cannot be captured
        net = make(tmp_path, net_text())
        found = script(net)
        assert len(graphs) >= 2
    monkeypatch.setattr(replay._state, "on", False)
    for one, other in zip(found, script(make(tmp_path, net_text()))):
        assert_near(one, other, rtol=0)


def test_sizes_beyond_those_that_are_kept_run_as_they_are(pretend, tmp_path, monkeypatch):
    monkeypatch.setattr(border_step, "_MOST_SIZES", 1)
    net = make(tmp_path, net_text())
    net.forward()
    assert short(net)
    net.blobs["data"].reshape(1, 3, 14, 11)
    net.forward(end="pool2")
    assert not short(net)


def test_a_relu_before_a_pooling_is_undone_on_the_pooled_map(pretend, tmp_path):
    """Maxima that are 0 pass no gradient on: the map of the maxima is a quarter as large.  Equal
    bits, and the memory of the large map is not moved for it."""
    net = make(tmp_path, net_text())
    forward_backward(net)
    kept = step_of(net)._conv.short
    parts = [part.link.layer.name for part in kept.form[0].parts]
    assert parts[:3] == ["conv1", "conv2", "pool1"]
    outputs = dict(zip(parts, kept.outputs))
    net.forward()
    with pretend.counting() as counts:
        net.backward()
    moved = {name: 0 for _, _, name in counts.where}
    for (kind, _, name), number in counts.where.items():
        moved[name] += number * (kind == "moved")
    pooled = {"conv2": "pool1", "conv4": "pool2"}
    sizes = [
        outputs[pooled.get(name, name)].numel() if name in outputs else net.blobs[name].count
        for name in ("conv1", "conv2", "conv3", "conv4")
    ]
    assert moved["aten::threshold_backward"] == 12 * sum(sizes)


def test_zeros_and_negative_maxima_stop_the_gradient(pretend, tmp_path):
    """Windows whose values are all negative before the ReLU, in a map where many are."""
    text = net_text().replace('type: "gaussian" std: 0.1', 'type: "constant" value: -0.7')
    net, expected = on_cpu_and(None, tmp_path, text, forward_backward)
    assert (net.blobs["pool1"].data == 0).mean() > 0.2
    assert_near(everything(net), expected)
