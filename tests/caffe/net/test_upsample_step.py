"""Upsampling whose cut alone is computed, and that nobody can tell."""

import numpy as np
import pytest

import caffe
from caffe.net import upsample_step

pytestmark = pytest.mark.cpu_only

TEXT = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 2 dim: 3 dim: 6 dim: 7 }} }} }}
layer {{ name: "image" type: "Input" top: "image"
  input_param {{ shape {{ dim: 1 dim: 1 dim: 11 dim: 13 }} }} }}
layer {{ name: "up" type: "Deconvolution" bottom: "data" top: "up" convolution_param {{
  num_output: 3 {group} bias_term: false kernel_size: 4 stride: 2 {more}
  weight_filler {{ type: "{filler}" }} }} }}
layer {{ name: "cut" type: "Crop" bottom: "up" bottom: "image" top: "cut"
  crop_param {{ axis: 2 offset: {offset} }} }}
"""


@pytest.fixture
def build(tmp_path):
    def build(filler="bilinear", group="group: 3", offset=1, more=""):
        path = tmp_path / "net.prototxt"
        path.write_text(TEXT.format(filler=filler, group=group, offset=offset, more=more))
        caffe.set_random_seed(5)
        net = caffe.Net(str(path), caffe.TEST)
        shape = net.blobs["data"].data.shape
        net.blobs["data"].data[...] = np.random.RandomState(7).randn(*shape)
        return net

    return build


def plain(net, monkeypatch):
    """Both blobs after a pass without any of this."""
    with monkeypatch.context() as m:
        m.setenv("CAFFE_KERNELS", "plain")
        net.forward()
    return {name: net.blobs[name].data.copy() for name in ("up", "cut")}


def waits(net):
    """Whether the upsampled blob has not been computed."""
    return net.blobs["up"].data_storage.deferred


def assert_close(found, expected):
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("least", [1, 1 << 20])
@pytest.mark.parametrize(
    ("offset", "more"), [(0, ""), (1, ""), (2, ""), (3, ""), (1, "pad: 1")], ids=str
)
@pytest.mark.parametrize("filler", ["bilinear", "msra"])
def test_the_cut_is_computed_and_the_rest_when_asked_for(
    filler, offset, more, least, build, monkeypatch
):
    monkeypatch.setattr(upsample_step, "LEAST_REGION", least)
    expected = plain(build(filler, offset=offset, more=more), monkeypatch)
    net = build(filler, offset=offset, more=more)
    for _ in range(2):
        found = net.forward()["cut"]
        assert waits(net)
        assert_close(found, expected["cut"])
        assert_close(net.blobs["up"].data, expected["up"])
        assert not waits(net)


def test_kernels_on_the_diagonal_count_others_do_not(build, monkeypatch):
    net = build("constant", group="")
    weights = net.params["up"][0].data
    weights[...] = np.random.RandomState(1).randn(*weights.shape) * np.eye(3)[:, :, None, None]
    del weights
    expected = plain(net, monkeypatch)
    assert_close(net.forward()["cut"], expected["cut"])
    assert waits(net)
    net.params["up"][0].data[0, 1, 2, 3] = 1
    expected = plain(net, monkeypatch)
    assert_close(net.forward()["cut"], expected["cut"])
    assert not waits(net)


def test_a_held_array_is_written_in_every_pass(build, monkeypatch):
    expected = plain(build(), monkeypatch)
    net = build()
    held = net.blobs["up"].data
    net.forward()
    assert_close(held, expected["up"])


def test_what_is_asked_for_later_is_of_the_pass(build, monkeypatch):
    expected = plain(build(), monkeypatch)
    net = build()
    net.forward()
    net.params["up"][0].data[...] = 7
    net.blobs["data"].data[...] = 7
    assert waits(net)
    assert_close(net.blobs["up"].data, expected["up"])


def test_what_is_written_between_the_two_counts(build):
    net = build()
    net.forward(end="up")
    net.blobs["up"].data[...] = 3
    assert (net.forward(start="cut")["cut"] == 3).all()


def test_a_pass_may_stop_between_the_two(build, monkeypatch):
    expected = plain(build(), monkeypatch)
    net = build()
    net.forward()
    net.forward(end="up")
    net.blobs["data"].data[...] = 0
    assert_close(net.forward(start="cut")["cut"], expected["cut"])


def test_numbers_that_are_not_finite_stay_where_they_belong(build, monkeypatch):
    monkeypatch.setattr(upsample_step, "LEAST_REGION", 1)
    net = build()
    net.blobs["data"].data[0, 0, 3, 3] = np.inf
    expected = plain(net, monkeypatch)["cut"]
    found = net.forward()["cut"]
    assert np.isinf(expected).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_net_that_trains_computes_all(build, tmp_path):
    build()
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    net.forward()
    assert not waits(net)
