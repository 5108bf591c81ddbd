"""Passes that go straight to a net's program, and what turns that off."""

import numpy as np
import pytest
import torch
from program_kinds import kind  # noqa: F401  # a fixture for every test

import caffe
from caffe.blob import Blob

pytestmark = pytest.mark.cpu_only

NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 2 dim: 3 dim: 12 dim: 10 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
        convolution_param { num_output: 8 kernel_size: 3
                            weight_filler { type: "msra" } bias_filler { type: "gaussian" } } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
        convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "ip" type: "InnerProduct" bottom: "c2" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


class Watched:
    """A net compiled early that knows whether its last pass was a direct one, and the same net with
    the general operators."""

    def __init__(self, tmp_path, monkeypatch, text=NET):
        self._environment = monkeypatch
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        caffe.set_random_seed(3)
        self.net, self.plain = caffe.Net(str(path), caffe.TEST), caffe.Net(str(path), caffe.TEST)
        for name, blobs in self.net.params.items():
            for blob, copy in zip(blobs, self.plain.params[name]):
                copy.data[...] = blob.data
        self.random = np.random.RandomState(0)
        self.direct = None
        passes, ordinary = self.net._passes, self.net._passes._forward

        def forward(*args):
            self.direct = False
            return ordinary(*args)

        monkeypatch.setattr(passes, "_forward", forward)

    def forward(self, scale=1.0):
        """A pass of both over the same image; whether it was a direct one."""
        self.image = self.random.randn(*self.net.blobs["data"].data.shape) * scale
        self.direct = True
        self.net.blobs["data"].data[...] = self.image
        self.found = self.net.forward()["prob"]
        np.testing.assert_allclose(self.found, self.expected("prob"), rtol=1e-4, atol=1e-6)
        return self.direct

    def expected(self, name):
        self.plain.blobs["data"].data[...] = self.image
        self._environment.setenv("CAFFE_KERNELS", "plain")
        self.plain.forward()
        self._environment.delenv("CAFFE_KERNELS")
        return self.plain.blobs[name].data

    def soon(self):
        """Whether one of the next passes is a direct one."""
        return any([self.forward() for _ in range(9)])


@pytest.fixture
def watched(tmp_path, monkeypatch):
    made = Watched(tmp_path, monkeypatch)
    assert made.soon() and made.forward()
    return made


def test_the_first_passes_are_ordinary_ones(tmp_path, monkeypatch):
    made = Watched(tmp_path, monkeypatch)
    assert [made.forward() for _ in range(5)] == [False, False, False, True, True]


def test_arrays_that_are_held_show_each_new_result(watched):
    held, view = watched.net.blobs["prob"].data, watched.net.blobs["prob"].data[0, 1:3]
    for _ in range(3):
        assert watched.forward()
        np.testing.assert_array_equal(held, watched.found)
        np.testing.assert_array_equal(view, watched.found[0, 1:3])
        assert np.shares_memory(held, watched.found)


def test_what_a_user_writes_over_a_result_is_gone_after_the_next_pass(watched):
    watched.net.blobs["prob"].data[...] = 7
    assert watched.forward()
    watched.found[...] = 7
    assert watched.forward()


def test_hidden_blobs_are_those_of_the_pass_whatever_is_written_since(watched):
    watched.net.blobs["data"].data[...] = 0
    watched.net.params["c2"][0].data[...] = 7
    for name in ("c1", "c2", "ip"):
        found = watched.net.blobs[name].data
        np.testing.assert_allclose(found, watched.expected(name), rtol=1e-4, atol=1e-5)


def test_a_blob_that_somebody_looks_at_is_computed_from_then_on(watched):
    held = watched.net.blobs["c2"].data
    np.testing.assert_allclose(held, watched.expected("c2"), rtol=1e-4, atol=1e-5)
    assert not watched.forward()
    assert watched.soon()
    np.testing.assert_allclose(held, watched.expected("c2"), rtol=1e-4, atol=1e-5)


def test_new_weights_count_at_once(watched):
    for net in (watched.net, watched.plain):
        net.params["c2"][0].data[...] *= 2
    assert not watched.forward()
    assert watched.soon()


def test_another_blob_in_the_place_of_a_weight_counts_at_once(watched):
    for net in (watched.net, watched.plain):
        blob = Blob(net.params["c2"][0].shape)
        blob.data[...] = 0.25
        net.params["c2"][0] = blob
    assert not watched.forward()
    assert watched.soon()


def test_another_shape_of_the_input(watched):
    for net in (watched.net, watched.plain):
        net.blobs["data"].reshape(1, 3, 12, 10)
    assert not watched.forward()
    assert watched.net.blobs["prob"].data.shape == (1, 5)
    assert watched.soon()


@pytest.mark.parametrize("name", ["prob", "c2"])
def test_a_blob_that_was_given_another_shape_gets_its_own_again(watched, name):
    shape = watched.plain.blobs[name].data.shape
    watched.net.blobs[name].reshape(7)
    assert not watched.forward()
    assert watched.net.blobs[name].data.shape == shape


def test_memory_of_the_user_in_the_place_of_the_input(watched):
    memory = np.ones((2, 3, 12, 10), np.float32)
    watched.net.blobs["data"].use_memory(memory)
    assert not watched.forward()
    assert watched.forward()
    np.testing.assert_allclose(memory, watched.image, rtol=1e-6)


def test_callbacks_see_every_layer(watched):
    seen = []
    watched.net.after_forward(seen.append)
    assert not watched.forward()
    assert seen == list(range(len(watched.net.layers)))


def test_a_part_of_the_net_is_no_direct_pass(watched):
    watched.direct = True
    watched.net.forward(start="c2")
    assert not watched.direct
    watched.direct = True
    watched.net.forward(end="ip")
    assert not watched.direct
    assert watched.soon()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_take_the_ordinary_way(watched, value):
    watched.net.blobs["data"].data[...] = watched.image = np.full((2, 3, 12, 10), value)
    watched.direct = True
    found = watched.net.forward()["prob"]
    assert not watched.direct
    np.testing.assert_array_equal(found, watched.expected("prob"))
    assert watched.soon()


def test_results_that_are_not_finite_take_the_ordinary_way(watched):
    # The sums of channels with a weight of -1.7 and below are too large in whatever order.
    assert watched.net.params["c1"][0].data.sum((1, 2, 3)).min() < -1.7
    watched.net.blobs["data"].data[...] = watched.image = np.full((2, 3, 12, 10), -3e38)
    watched.direct = True
    found = watched.net.forward()["prob"]
    assert not watched.direct
    assert np.isnan(found).all() and np.isnan(watched.expected("prob")).all()
    assert watched.soon()


def test_settings_are_asked_in_every_pass(watched, monkeypatch):
    caffe.set_deterministic(True)
    try:
        assert not watched.forward()
    finally:
        caffe.set_deterministic(False)
    assert watched.soon()
    monkeypatch.setenv("CAFFE_KERNELS", "plain")
    watched.direct = True
    watched.net.forward()
    assert not watched.direct


def test_another_number_of_threads(watched):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert not watched.forward()
        # A small net keeps to one thread, and the caller gets back what it had.
        assert watched.soon() and watched.forward()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_net_on_another_device_is_no_direct_pass(watched):
    caffe.device.set_mode_mirror()
    try:
        assert not watched.forward()
    finally:
        caffe.set_mode_cpu()
    assert watched.soon()


def test_threads_of_direct_passes_are_those_that_are_faster_and_change_no_bit(
    tmp_path, monkeypatch
):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = Watched(tmp_path, monkeypatch)
        assert made.soon() and made.forward()
        direct, image, found = made.net._passes.plan.direct, made.image, []
        if not direct._steps[0].kind.any_threads:
            assert direct._faster is None
            return
        assert direct._faster.numbers == (1, 2)
        for threads in (1, 2, 1, 2):
            direct._faster.threads = threads
            made.net.blobs["data"].data[...] = image
            made.direct = True
            found.append(made.net.forward()["prob"].copy())
            assert made.direct
        for other in found[1:]:
            np.testing.assert_array_equal(found[0], other)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
