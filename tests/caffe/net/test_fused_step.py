"""Groups of layers that run as one call: what they leave out, and that nobody can tell."""

import sys
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.kernels import fused
from caffe.net import fused_step

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
import fused_nets

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not fused.available(), reason="this PyTorch has no fused convolutions"),
]

NETS = 40  # of the fuzz; tests/fuzz/fused_nets.py goes on

UNIT = """
layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{
  num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "{0}/bn" type: "BatchNorm" bottom: "{0}" top: "{0}/bn" }}
layer {{ name: "{0}/scale" type: "Scale" bottom: "{0}/bn" top: "{0}/bn"
  scale_param {{ bias_term: true filler {{ type: "gaussian" std: 1 }} }} }}
"""
RELU = 'layer {{ name: "relu_{0}" type: "ReLU" bottom: "{0}" top: "{0}" }}\n'
TEXT = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: 3 dim: 6 dim: 7 } } }"
    + UNIT.format("a", "data")
    + RELU.format("a/bn")
    + UNIT.format("b", "a/bn")
    + 'layer { name: "sum" type: "Eltwise" bottom: "a/bn" bottom: "b/bn" top: "sum" }'
    + RELU.format("sum")
)


@pytest.fixture
def calls(monkeypatch):
    """The number of elements that each fused call computed."""
    seen = []

    def spied(*args):
        call = convolution(*args)

        def spy(*inputs):
            y = call(*inputs)
            seen.append(y.numel())
            return y

        return spy

    fused.available("bf16")  # which tries a call
    convolution = fused.convolution
    monkeypatch.setattr(fused_step.fused, "convolution", spied)
    return seen


@pytest.fixture
def build(tmp_path):
    def build(text=TEXT, phase=caffe.TEST):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        caffe.set_random_seed(5)
        net = caffe.Net(str(path), phase)
        numbers = np.random.RandomState(7)
        for name, blobs in net.params.items():
            if name.endswith("/bn"):
                for blob, value in zip(blobs, (numbers.randn(8), numbers.rand(8) + 0.5, 1)):
                    blob.data[...] = value
        net.blobs["data"].data[...] = numbers.randn(*net.blobs["data"].data.shape)
        return net

    return build


def plain(net, monkeypatch):
    """All blobs after a pass without any of this."""
    with monkeypatch.context() as m:
        m.setenv("CAFFE_KERNELS", "plain")
        net.forward()
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def assert_close(found, expected):
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


def test_ten_layers_are_two_calls_and_equal(build, calls, monkeypatch):
    net, expected = build(), plain(build(), monkeypatch)
    net.forward()
    assert len(calls) == 2
    for name in net.blobs:
        assert_close(net.blobs[name].data, expected[name])


def test_a_hidden_blob_is_computed_when_asked_for(build, calls, monkeypatch):
    net, expected = build(), plain(build(), monkeypatch)
    net.forward()
    hidden = [n for n, b in net.blobs.items() if b.data_storage.state == "deferred"]
    assert hidden == ["a", "b", "b/bn"]
    # What it is computed from changes before.
    net.blobs["data"].data[...] = 0
    net.blobs["a/bn"].data[...] = 0
    for blobs in net.params.values():
        blobs[0].data[...] += 1
    for name in hidden:
        assert_close(net.blobs[name].data, expected[name])


def test_a_kept_array_of_a_hidden_blob_shows_each_pass(build, calls, monkeypatch):
    net = build()
    kept = net.blobs["b"].data
    net.forward()
    assert len(calls) == 1  # the second group runs layer by layer
    assert_close(kept, plain(build(), monkeypatch)["b"])
    del kept
    calls.clear()
    net.forward()
    assert len(calls) == 2


def test_changed_weights_are_folded_anew(build, monkeypatch):
    net, other = build(), build()
    net.forward()
    for n in (net, other):
        n.params["a"][0].data[...] *= 2
        n.params["b/bn"][1].data[...] += 1
        n.params["b/scale"][0].data[...] -= 0.5
    net.forward()
    assert_close(net.blobs["sum"].data, plain(other, monkeypatch)["sum"])


def test_weights_that_somebody_holds_turn_the_group_off(build, calls):
    net = build()
    kept = net.params["a/scale"][0].data
    net.forward()
    assert len(calls) == 1
    before = net.blobs["sum"].data.copy()
    kept *= 2  # nobody is told
    net.forward()
    assert np.abs(net.blobs["sum"].data - before).max() > 0.01


def test_a_pass_in_parts_computes_what_a_whole_one_does(build, monkeypatch):
    net, expected = build(), plain(build(), monkeypatch)
    net.forward(end="a")
    net.forward(start="a/bn", end="b")
    net.forward(start="b/bn")
    for name in net.blobs:
        assert_close(net.blobs[name].data, expected[name])


def test_a_layer_in_place_spares_what_a_hidden_blob_needs(build, monkeypatch):
    """The ReLU overwrites the input of the second group by itself."""
    net, expected = build(), plain(build(), monkeypatch)
    net.forward()
    net.params["a/scale"][1].data[...] = -100
    net.forward(start="a/scale", end="relu_a/bn")
    assert net.blobs["a/bn"].data.max() == 0
    assert_close(net.blobs["b"].data, expected["b"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_not_lost(build, monkeypatch, value):
    """oneDNN's ReLU would give 0."""
    for spoil in ("data", "weight", "middle"):
        nets = build(), build()
        for net in nets:
            net.forward()
            if spoil == "data":
                net.blobs["data"].data[0, 0, 0, 0] = value
            elif spoil == "weight":
                net.params["b"][0].data[0, 0, 0, 0] = value
            else:
                net.blobs["a/bn"].data[0, 0, 0, 0] = value
        if spoil == "middle":
            nets[0].forward(start="b")
            monkeypatch.setenv("CAFFE_KERNELS", "plain")
            nets[1].forward(start="b")
            monkeypatch.delenv("CAFFE_KERNELS")
            expected = nets[1].blobs["sum"].data
        else:
            nets[0].forward()
            expected = plain(nets[1], monkeypatch)["sum"]
        assert np.isnan(expected).any() or np.isinf(expected).any()
        np.testing.assert_array_equal(np.isnan(nets[0].blobs["sum"].data), np.isnan(expected))


def test_train_nets_and_layers_with_a_backward_pass_are_left_alone(build, calls):
    build(phase=caffe.TRAIN).forward()
    build("force_backward: true\n" + TEXT).forward()
    assert not calls


def test_bf16_by_name_runs_the_same_groups(build, calls, monkeypatch):
    expected = plain(build(), monkeypatch)["sum"]
    net = build()
    caffe.set_precision("bf16")
    try:
        net.forward()
    finally:
        caffe.set_precision("fp32")
    assert len(calls) == 2
    found = net.blobs["sum"].data
    assert 1e-6 < np.abs(found - expected).max() / np.abs(expected).max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, NETS, 10))
def test_random_nets_under_random_observers(first):
    groups = sum(fused_nets.one(seed, steps=6)[0] for seed in range(first, first + 10))
    assert groups > 10
