"""Random values that nobody has looked at yet are not drawn, where no seed tells what they are."""

import numpy as np
import pytest

import caffe
from caffe import rng
from caffe.unfilled import Unfilled

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 50 weight_filler { type: "%s" %s } bias_filler { value: 2 } } }
"""
RANDOM = {
    "gaussian": "std: 0.5",
    "msra": "",
    "positive_unitball": "",
    "uniform": "min: -1 max: 1",
    "xavier": "",
}


@pytest.fixture
def unseeded(monkeypatch):
    """A stream of which nothing is known, as in a new process."""
    monkeypatch.setattr(rng._local, "generator", rng.Generator())


def build(tmp_path, filler="gaussian", weights=None):
    path = tmp_path / "net.prototxt"
    path.write_text(NET % (filler, RANDOM[filler]))
    return caffe.Net(str(path), caffe.TEST, weights=weights)


def waits(net):
    return isinstance(net.params["fc"][0].data_storage, Unfilled)


@pytest.mark.parametrize("filler", RANDOM)
def test_values_are_drawn_at_the_first_look_and_stay(tmp_path, unseeded, filler):
    net = build(tmp_path, filler)
    assert waits(net)
    first = net.params["fc"][0].data
    assert not waits(net)
    assert np.isfinite(first).all() and len(np.unique(first)) > 300
    kept = first.copy()
    net.forward()
    np.testing.assert_array_equal(net.params["fc"][0].data, kept)
    assert not np.array_equal(build(tmp_path, filler).params["fc"][0].data, kept)


def test_a_forward_pass_draws(tmp_path, unseeded):
    net = build(tmp_path)
    net.blobs["data"].data[...] = 1
    out = net.forward()["fc"]
    np.testing.assert_allclose(out[0], net.params["fc"][0].data.sum(axis=1) + 2, atol=1e-5)
    assert 0.5 < np.std(out) < 3


def test_nothing_is_drawn_for_weights_that_a_file_or_a_net_gives(tmp_path, unseeded, monkeypatch):
    trained = build(tmp_path)
    weights = str(tmp_path / "net.caffemodel")
    trained.save(weights)
    monkeypatch.setattr(rng.Generator, "gaussian", None)  # whoever draws fails
    loaded = build(tmp_path, weights=weights)
    shared = build(tmp_path)
    shared.share_with(trained)
    for net in (loaded, shared):
        np.testing.assert_array_equal(net.params["fc"][0].data, trained.params["fc"][0].data)


@pytest.mark.parametrize(
    "observe",
    [lambda: caffe.set_random_seed(3), caffe.get_random_state],
    ids=["seed", "position asked for"],
)
def test_a_stream_that_is_known_is_drawn_from_at_once(tmp_path, unseeded, observe):
    observe()
    state = caffe.get_random_state()
    net = build(tmp_path)
    assert not waits(net)
    assert caffe.get_random_state() != state
    caffe.set_random_state(state)
    np.testing.assert_array_equal(build(tmp_path).params["fc"][0].data, net.params["fc"][0].data)


def test_a_seed_set_later_is_not_used_up_by_values_that_wait(tmp_path, unseeded):
    net = build(tmp_path)
    caffe.set_random_seed(4)
    expected = caffe.get_random_state()
    net.forward()
    assert caffe.get_random_state() == expected


def test_weights_that_do_not_fit_leave_the_values_to_be_drawn(tmp_path, unseeded):
    other = tmp_path / "other.prototxt"
    other.write_text((NET % ("gaussian", "")).replace("50", "51"))
    weights = str(tmp_path / "other.caffemodel")
    caffe.Net(str(other), caffe.TEST).save(weights)
    net = build(tmp_path)
    with pytest.raises(caffe.Error, match="shape mismatch"):
        net.copy_from(weights)
    assert np.std(net.params["fc"][0].data) > 0.4


def test_a_filler_that_cannot_work_fails_when_the_net_is_built(tmp_path, unseeded):
    path = tmp_path / "net.prototxt"
    path.write_text(NET % ("gaussian", "std: 0"))
    with pytest.raises(caffe.Error, match="std must be positive"):
        caffe.Net(str(path), caffe.TEST)
