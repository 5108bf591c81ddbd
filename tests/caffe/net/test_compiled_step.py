"""Stretches of a net that run as one program, and what turns that off."""

import numpy as np
import pytest
from program_kinds import kind  # noqa: F401  # a fixture for every test

import caffe
from caffe.blob import Blob
from caffe.net import compiled_step

pytestmark = pytest.mark.cpu_only


NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 12 dim: 10 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1
                            weight_filler { type: "msra" } bias_filler { type: "gaussian" } } }
layer { name: "bn" type: "BatchNorm" bottom: "c1" top: "bn" }
layer { name: "sc" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "r1" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "c2" type: "Convolution" bottom: "bn" top: "c2"
        convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "sum" type: "Eltwise" bottom: "bn" bottom: "c2" top: "sum" }
layer { name: "norm" type: "LRN" bottom: "sum" top: "norm" lrn_param { local_size: 3 alpha: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool"
        pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


class Twins:
    """The same net compiled early and plain; every act on both."""

    def __init__(self, tmp_path, monkeypatch):
        self._environment = monkeypatch
        path = tmp_path / "net.prototxt"
        path.write_text(NET)
        caffe.set_random_seed(3)
        self.net, self.plain = (caffe.Net(str(path), caffe.TEST) for _ in range(2))
        random = np.random.RandomState(0)
        for name, blobs in self.net.params.items():
            for i, blob in enumerate(blobs):
                value = random.rand(*blob.data.shape) + 0.5 if name == "bn" else blob.data.copy()
                for net in (self.net, self.plain):
                    net.params[name][i].data[...] = value
        self.random = random

    @property
    def step(self):
        (step,) = self.net._passes.plan._stretches[0].values()
        return step

    def compiled(self):
        """Whether the last pass was one program."""
        return self.net.blobs["sum"].data_storage.deferred

    def forward(self, times=1):
        for _ in range(times):
            image = self.random.randn(*self.net.blobs["data"].data.shape)
            self.net.blobs["data"].data[...] = image
            found = self.net.forward()["prob"]
            self.plain.blobs["data"].data[...] = image
            self._environment.setenv("CAFFE_KERNELS", "plain")
            expected = self.plain.forward()["prob"]
            self._environment.delenv("CAFFE_KERNELS")
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

    def equal(self, name):
        np.testing.assert_allclose(
            self.net.blobs[name].data, self.plain.blobs[name].data, rtol=1e-4, atol=1e-5
        )


@pytest.fixture
def twins(tmp_path, monkeypatch):
    return Twins(tmp_path, monkeypatch)


def test_after_some_passes_the_whole_net_is_one_program(twins):
    assert (twins.step.first, twins.step.end) == (1, len(twins.net.layers))
    twins.forward()
    assert not twins.compiled()
    twins.forward(3)
    assert twins.compiled()


def test_hidden_blobs_are_those_of_the_last_pass_whatever_is_written_since(twins):
    twins.forward(3)
    for net in (twins.net, twins.plain):
        net.blobs["data"].data[...] = 0
    twins.net.params["c1"][0].data[...] = 7
    for name in twins.net.blobs:
        if name not in ("prob", "data"):
            twins.equal(name)


def test_a_blob_that_somebody_looks_at_is_computed_from_then_on(twins):
    twins.forward(3)
    twins.equal("c2")
    assert not twins.step._programs
    for _ in range(8):
        twins.forward()
        twins.equal("c2")
    assert twins.compiled()
    assert not twins.net.blobs["c2"].data_storage.deferred


def test_a_blob_that_is_looked_at_before_is_no_hidden_one(twins):
    twins.forward()
    twins.equal("bn")
    twins.forward(3)
    assert twins.compiled()
    assert not twins.net.blobs["bn"].data_storage.deferred
    twins.equal("bn")


def test_new_weights_are_used_at_once_and_compiled_later(twins):
    twins.forward(3)
    for net in (twins.net, twins.plain):
        net.params["c2"][0].data[...] *= 2
    twins.forward()
    assert not twins.compiled()
    twins.forward(4)
    assert twins.compiled()


def test_another_blob_in_the_place_of_a_weight_is_used_at_once(twins):
    twins.forward(6)
    assert twins.compiled()
    for net in (twins.net, twins.plain):
        blob = Blob(net.params["c2"][0].shape)
        blob.data[...] = 0.25
        net.params["c2"][0] = blob
    twins.forward()
    assert not twins.compiled()
    twins.forward(6)
    assert twins.compiled()


@pytest.mark.parametrize("name", ["prob", "c2"])
def test_a_blob_that_was_given_another_shape_gets_its_own_again(twins, name):
    twins.forward(6)
    assert twins.compiled()
    for net in (twins.net, twins.plain):
        net.blobs[name].reshape(1, 2)
    twins.forward(2)
    twins.equal("prob")
    twins.equal("c2")


def test_the_parts_of_a_split_follow_an_input_to_other_memory(tmp_path, monkeypatch):
    path = tmp_path / "net.prototxt"
    path.write_text(NET.replace('bottom: "bn" top: "c2"', 'bottom: "data" top: "c2"'))
    net = caffe.Net(str(path), caffe.TEST)
    net.params["bn"][1].data[...] = 1
    for value in range(6):
        net.blobs["data"].data[...] = value
        net.forward()
    assert net.blobs["sum"].data_storage.deferred
    net.blobs["data"].reshape(2, 3, 12, 10)
    net.blobs["data"].reshape(1, 3, 12, 10)
    net.blobs["data"].data[...] = 9
    net.forward()
    assert (net.blobs["data_data_0_split_1"].data == 9).all()


def test_other_shapes_and_back(twins):
    twins.forward(3)
    for shape in ((3, 3, 12, 10), (2, 3, 12, 10), (1, 3, 12, 10), (2, 3, 12, 10)):
        for net in (twins.net, twins.plain):
            net.blobs["data"].reshape(*shape)
        twins.forward(9)
        assert twins.compiled()
        twins.equal("norm")


def test_an_array_of_a_weight_that_is_kept_turns_it_off(twins):
    twins.forward(3)
    kept = twins.net.params["ip"][0].data
    twins.forward(4)
    assert not twins.compiled()
    del kept
    twins.forward(9)
    assert twins.compiled()


def test_an_array_of_a_hidden_blob_that_is_kept_shows_each_pass(twins):
    twins.forward(3)
    kept = twins.net.blobs["norm"].data
    for _ in range(9):
        twins.forward()
        np.testing.assert_allclose(kept, twins.plain.blobs["norm"].data, rtol=1e-4, atol=1e-5)
    assert twins.compiled()


def test_parts_callbacks_and_broken_numbers_run_layer_by_layer(twins):
    twins.forward(3)
    for net in (twins.net, twins.plain):
        net.forward(start="c2", end="norm")
    twins.equal("norm")
    seen = []
    twins.net.after_forward(seen.append)
    twins.forward()
    assert len(seen) == len(twins.net.layers)
    twins.net._passes.callbacks["after_forward"].clear()
    twins.forward(9)
    for net in (twins.net, twins.plain):
        net.blobs["data"].data[0, 1, 2, 3] = np.nan
    np.testing.assert_array_equal(
        np.isnan(twins.net.forward()["prob"]), np.isnan(twins.plain.forward()["prob"])
    )
    twins.equal("bn")
    twins.forward(9)
    assert twins.compiled()


def test_deterministic_passes_never_change_their_way(twins):
    caffe.set_deterministic()
    try:
        twins.forward(5)
        assert not twins.compiled()
    finally:
        caffe.set_deterministic(False)


def test_a_training_net_has_no_stretches(tmp_path):
    path = tmp_path / "train.prototxt"
    path.write_text(NET)
    assert not caffe.Net(str(path), caffe.TRAIN)._passes.plan._stretches[0]


def test_a_stretch_of_too_many_weights_goes_on_after_what_works_in_place(twins, kind, monkeypatch):  # noqa: F811
    monkeypatch.setattr(kind, "most_weights", 224 + 17)  # c1 and bn, but not sc
    monkeypatch.setattr(compiled_step, "_LEAST_PRODUCTS", 1)
    steps = compiled_step.compiled_steps(twins.net._graph, kind).values()
    layers = twins.net._graph.layers
    found = [[layer.name for layer in layers[s.first : s.end]] for s in steps]
    assert found[0] == ["c1", "bn"]
    assert found[1][0] == "bn_r1_0_split"  # not sc and r1, which work in place


def test_a_net_leaves_nothing_behind(twins):
    import gc
    import weakref

    twins.forward(3)
    gone = weakref.ref(twins.net.blobs["c1"])
    twins.net = None
    gc.collect()
    assert gone() is None


POOLED = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 12 dim: 10 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "c1" top: "pool"
        pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "c2" type: "Convolution" bottom: "pool" top: "c2"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
"""


def test_a_new_size_is_never_compiled_before_it_has_passed(tmp_path, kind, monkeypatch):  # noqa: F811
    """The layers have the old shapes until then: of pooling that rounds up, other windows."""
    monkeypatch.setattr(kind, "patience", 1)
    path = tmp_path / "pooled.prototxt"
    path.write_text(POOLED)
    net, plain = (caffe.Net(str(path), caffe.TEST) for _ in range(2))
    plain.share_with(net)
    random = np.random.RandomState(1)
    for size in ((19, 23), (12, 10), (21, 9), (19, 23)):
        image = random.standard_normal((1, 3, *size)).astype(np.float32)
        for one in (net, plain):
            one.blobs["data"].reshape(*image.shape)
            one.blobs["data"].data[...] = image
        with monkeypatch.context() as context:
            context.setenv("CAFFE_KERNELS", "plain")
            expected = plain.forward()["c2"]
        for _ in range(3):
            np.testing.assert_allclose(net.forward()["c2"], expected, rtol=1e-4, atol=1e-5)
    (step,) = net._passes.plan._stretches[0].values()
    assert step._programs
