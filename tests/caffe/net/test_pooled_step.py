"""Convolution, ReLU and pooling backward as one step: what the blobs hold is what the layers alone
leave."""

import numpy as np
import pytest
from net_pair import net_pair

from caffe.kernels import pooling, ways, winograd
from caffe.kernels.ways import general
from caffe.layer.convolution import Convolution
from caffe.net.pooled_step import PooledStep

pytestmark = pytest.mark.cpu_only

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 13 dim: 10
  } } }
layer { name: "target" type: "Input" top: "target" input_param { shape { dim: 2 dim: 6 dim: 4
  dim: 3 } } }
layer { name: "first" type: "Convolution" bottom: "data" top: "first" convolution_param {
  num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu0" type: "ReLU" bottom: "first" top: "first" }
layer { name: "conv" type: "Convolution" bottom: "first" top: "conv" convolution_param {
  num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" }
  bias_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {
  kernel_size: 2 stride: 2 } }
layer { name: "last" type: "Convolution" bottom: "pool" top: "last" convolution_param {
  num_output: 6 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "msra" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "last" bottom: "target" top: "loss" }
"""
NAMES = ("data", "first", "conv", "pool", "last")


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """(both, nets): ``both(act)`` does the same to a net and to one with plain operators."""
    monkeypatch.setattr(pooling, "_LEAST_NUMBERS", 0)
    monkeypatch.setattr(ways, "_STRIP_NUMBERS", 0)
    monkeypatch.setattr(ways, "STRIP_ROWS", 5)
    return net_pair(tmp_path / "net.prototxt", NET, monkeypatch)


@pytest.fixture
def ran(monkeypatch):
    """How often the step ran backward."""
    count = [0]
    plain = PooledStep.backward

    def backward(self, last, needs):
        done = plain(self, last, needs)
        count[0] += done
        return done

    monkeypatch.setattr(PooledStep, "backward", backward)
    return count


def equal(nets, names=NAMES):
    for name in names:
        for kind in ("diff", "data"):
            a, b = (getattr(net.blobs[name], kind) for net in nets)
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * np.abs(b).max())
    for name in nets[0].params:
        for a, b in zip(nets[0].params[name], nets[1].params[name]):
            np.testing.assert_allclose(a.diff, b.diff, rtol=1e-4, atol=2e-5 * np.abs(b.diff).max())


def pass_(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()


def between(net):
    return net.blobs["conv"].diff_storage


def test_passes_give_what_the_layers_give(pair, ran):
    both, nets = pair
    for _ in range(3):
        both(pass_)
        assert between(nets[0]).deferred
    assert ran == [3]
    equal(nets)
    assert not between(nets[0]).deferred
    both(pass_)
    equal(nets)


def data_of(net):
    return net.blobs["conv"].data_storage


def test_what_lies_between_is_computed_when_somebody_asks(pair):
    both, nets = pair
    for _ in range(2):
        both(pass_)
        assert data_of(nets[0]).deferred
    both(lambda net: net.params["conv"][0].data.fill(3))  # an update comes after the pass
    equal(nets)
    both(pass_)
    equal(nets)


def test_the_input_keeps_its_memory_from_pass_to_pass(pair, monkeypatch):
    monkeypatch.setattr(general, "_STRIPS_LEAST_OUTPUT", 0)
    both, nets = pair
    both(pass_)
    first = nets[0].blobs["first"].data_storage.held.data_ptr()
    for _ in range(3):
        both(pass_)
        assert nets[0].blobs["first"].data_storage.held.data_ptr() == first
    equal(nets)


def test_what_it_follows_from_may_change_afterwards(pair):
    both, nets = pair
    both(pass_)

    def change(net):
        net.blobs["first"].data[...] = 5
        net.params["conv"][1].data[...] += 2

    both(change)
    equal(nets)
    both(pass_)

    def another_first(net):
        net.blobs["data"].data[...] *= 2
        net.forward(end="relu0")

    both(another_first)
    equal(nets)


@pytest.mark.parametrize("name", ["first", "conv"])
def test_arrays_that_are_held_show_each_pass(pair, name):
    both, nets = pair
    both(pass_)
    held = both(lambda net: net.blobs[name].data)
    both(lambda net: net.blobs["data"].data.__imul__(-1))
    both(pass_)
    np.testing.assert_allclose(*held, rtol=1e-4, atol=1e-5)
    equal(nets)


def test_edits_inside_a_forward_pass_count(pair):
    both, nets = pair

    def edited(net):
        net.clear_param_diffs()
        net.forward(end="relu")
        net.blobs["conv"].data[...] -= 1
        net.forward(start="pool")
        net.backward()

    both(edited)
    equal(nets)


def test_the_gradient_is_that_of_its_pass_when_another_forward_has_run(pair):
    both, nets = pair
    both(pass_)

    def forward_with_another_input(net):
        net.blobs["data"].data[...] *= -1
        net.params["last"][0].data[...] += 1
        net.forward()

    both(forward_with_another_input)
    assert between(nets[0]).deferred
    equal(nets)


def test_a_held_array_shows_each_gradient(pair, ran):
    both, nets = pair
    both(pass_)
    held = both(lambda net: net.blobs["conv"].diff)
    both(pass_)
    assert ran == [1]
    np.testing.assert_allclose(*held, rtol=1e-4, atol=1e-5)
    equal(nets)


@pytest.mark.parametrize("name", ["conv", "pool"])
def test_edits_between_the_passes_count(pair, ran, name):
    both, nets = pair

    def edited(net):
        net.clear_param_diffs()
        net.forward()
        net.blobs[name].data[...] *= -1
        net.backward()

    both(edited)
    assert ran == [0]
    equal(nets)


def test_an_edited_gradient_counts(pair):
    both, nets = pair
    both(pass_)

    def again_from_the_convolution(net):
        net.blobs["conv"].diff[...] *= 2
        net.clear_param_diffs()
        net.backward(start="conv")

    both(again_from_the_convolution)
    equal(nets)


def test_the_poolings_gradient_may_be_overwritten_afterwards(pair):
    both, nets = pair
    both(pass_)

    def overwrite(net):
        net.blobs["pool"].diff[...] = 7
        net.blobs["pool"].data[...] = -7

    both(overwrite)
    equal(nets)


def test_ranges_that_end_inside_run_layer_by_layer(pair, ran):
    both, nets = pair

    def parts(net):
        net.clear_param_diffs()
        net.forward()
        net.backward(end="relu")
        net.backward(start="conv")

    both(parts)
    assert ran == [0]
    equal(nets)


def test_not_a_number_runs_layer_by_layer(pair, ran):
    both, nets = pair

    def poisoned(net):
        net.blobs["data"].data[0, 0, 5, 5] = np.nan
        pass_(net)

    both(poisoned)
    assert ran == [0]
    assert np.isnan(nets[0].blobs["conv"].data).any()


def test_a_frozen_convolution_keeps_nothing_of_earlier_weights(pair, monkeypatch):
    """What is derived from weights is kept for frozen layers; not from a copy of earlier ones."""
    monkeypatch.setattr(winograd, "applies", lambda *args: True)
    monkeypatch.setattr(Convolution, "_learns", lambda self: False)
    both, nets = pair
    both(pass_)

    def edit(net):
        net.params["conv"][0].data[...] *= -1
        return net.blobs["conv"].data.copy()  # of the pass before

    np.testing.assert_allclose(*both(edit), rtol=1e-4, atol=1e-4)
    both(pass_)
    equal(nets)
