"""Passes of small nets that are one call each, and what turns that off: the same bits as layer by
layer, whatever anybody looks at or changes between them."""

import random

import numpy as np
import pytest

import caffe
from caffe import native
from caffe.blob import Blob
from caffe.errors import LayerError

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

FILL = 'weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 0.1 }'
NET = f"""
layer {{ name: "data" type: "Input" top: "data"
        input_param {{ shape {{ dim: 1 dim: 2 dim: 12 dim: 11 }} }} }}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: 1 }} }} }}
layer {{ name: "c1" type: "Convolution" bottom: "data" top: "c1"
        convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 {FILL} }} }}
layer {{ name: "r1" type: "ReLU" bottom: "c1" top: "r1" }}
layer {{ name: "p1" type: "Pooling" bottom: "r1" top: "p1"
        pooling_param {{ kernel_size: 2 stride: 2 }} }}
layer {{ name: "c2" type: "Convolution" bottom: "p1" top: "c2"
        convolution_param {{ num_output: 9 kernel_size: 3 stride: 2 bias_term: false {FILL} }} }}
layer {{ name: "i1" type: "InnerProduct" bottom: "c2" top: "i1"
        param {{ lr_mult: 1 }} param {{ lr_mult: 0 }}
        inner_product_param {{ num_output: 600 {FILL} }} }}
layer {{ name: "r2" type: "ReLU" bottom: "i1" top: "i1" }}
layer {{ name: "i2" type: "InnerProduct" bottom: "i1" top: "i2"
        inner_product_param {{ num_output: 5 {FILL} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "i2" bottom: "label" top: "loss"
        loss_weight: 0.5 loss_param {{ ignore_label: 4 }} }}
"""
BLOBS = ["c1", "r1", "p1", "c2", "i1", "i2", "loss"]


class Two:
    """Two solvers of one net, of which the first may take the short way.

    Attributes:
        short: how many of its passes did, forward and backward.
    """

    def __init__(self, tmp_path, text=NET, settings="", kind="SGD"):
        (tmp_path / "net.prototxt").write_text(text)
        (tmp_path / "solver.prototxt").write_text(
            f'train_net: "{tmp_path}/net.prototxt" base_lr: 0.05 '
            f"momentum: {0 if kind in ('AdaGrad', 'RMSProp') else 0.9} weight_decay: 0.01 "
            f'type: "{kind}" {settings} '
            + ("" if "lr_policy" in settings else 'lr_policy: "fixed"')
        )
        self.solvers = []
        for _ in range(2):
            caffe.set_random_seed(5)
            self.solvers.append(caffe.get_solver(str(tmp_path / "solver.prototxt")))
            for blobs in self.solvers[-1].net.params.values():
                for blob in blobs:
                    blob.data.sum()  # drawn now
        self.nets = [s.net for s in self.solvers]
        self.random, self.short = np.random.RandomState(0), [0, 0]
        small = self.nets[0]._passes._small
        self.nets[1]._passes._small._possible = False
        for i, name in enumerate(("forward", "backward")):
            setattr(small, name, self._counted(i, getattr(small, name)))

    def _counted(self, i, function):
        def call():
            result = function()
            self.short[i] += result is not None and result is not False
            return result

        return call

    def feed(self):
        x = self.random.randn(*self.nets[0].blobs["data"].data.shape)
        label = self.random.randint(0, 5, self.nets[0].blobs["label"].data.shape)
        for net in self.nets:
            net.blobs["data"].data[...] = x
            net.blobs["label"].data[...] = label

    def step(self, count=1):
        for _ in range(count):
            self.feed()
            for solver in self.solvers:
                solver.step(1)

    def compare(self, blobs=BLOBS, params=True):
        one, two = self.nets
        for name in blobs:
            for what in ("data", "diff"):
                a, b = (getattr(net.blobs[name], what) for net in (one, two))
                np.testing.assert_array_equal(a, b, err_msg=f"{name}.{what}")
        for name in one.params if params else ():
            for a, b in zip(one.params[name], two.params[name]):
                np.testing.assert_array_equal(a.data, b.data, err_msg=name)
                np.testing.assert_array_equal(a.diff, b.diff, err_msg=f"{name}'s diff")
        for a, b in zip(*(s._update.history_arrays() for s in self.solvers)):
            np.testing.assert_array_equal(a, b)

    def taken(self, count=1):
        """Whether the next steps go the short way, both passes."""
        before = list(self.short)
        self.step(count)
        return [n - b for n, b in zip(self.short, before)] == [count, count]


@pytest.fixture
def two(tmp_path):
    made = Two(tmp_path)
    made.step(2)
    return made


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
def test_the_same_bits(kind, tmp_path):
    two = Two(tmp_path, kind=kind)
    two.step(1)
    assert two.short == [0, 0]
    assert two.taken(5)
    two.compare()
    assert two.taken(2)


def test_looking_does_not_stop_it(two):
    assert two.taken()
    for _ in range(3):
        two.compare()
        assert two.taken(2)


def test_arrays_that_are_kept_show_each_result(two):
    kept = [[net.blobs[name].data for name in BLOBS] for net in two.nets]
    weights = [net.params["i1"][0].data for net in two.nets]
    assert two.taken(3)
    for a, b in zip(*kept):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(*weights)


def test_a_gradient_that_is_kept_is_added_to_where_it_lies(two):
    kept = [[net.params[n][0].diff for n in ("c1", "i1", "i2")] for net in two.nets]
    two.step(3)
    for a, b in zip(*kept):
        np.testing.assert_array_equal(a, b)
    del kept, a, b
    two.step()
    assert two.taken(2)
    two.compare()


def test_several_passes_add_their_gradients(tmp_path):
    two = Two(tmp_path, settings="iter_size: 3")
    two.step(4)
    assert two.short[0] > 3
    two.compare()


@pytest.mark.parametrize(
    "settings",
    [
        "clip_gradients: 0.01",
        'regularization_type: "L1"',
        'lr_policy: "inv" gamma: 0.1 power: 0.75',
        'lr_policy: "step" gamma: 0 stepsize: 4',
    ],
)
def test_settings_of_the_update(settings, tmp_path):
    two = Two(tmp_path, settings=settings)
    two.step(2)
    assert two.taken(3)
    two.compare()


def test_a_second_backward_pass_without_clearing(two):
    two.feed()
    for net in two.nets:
        net.clear_param_diffs()
        net.forward()
        net.backward()
        net.blobs["i2"].diff[...] *= 2
        net.backward()
    two.compare()
    two.feed()
    for net in two.nets:
        net.forward()  # what the gradients were computed from is overwritten
    two.compare()
    assert two.taken(2)


@pytest.mark.parametrize("name", BLOBS)
def test_a_blob_that_is_edited_between_the_passes(name, two):
    two.feed()
    for net in two.nets:
        net.clear_param_diffs()
        net.forward()
        net.blobs[name].data[...] *= 1.5
        net.backward()
    two.compare()
    two.step(2)
    two.compare()


def test_a_weight_of_the_loss_that_is_edited(two):
    two.feed()
    for net in two.nets:
        net.blobs["loss"].diff[...] = 3
    losses = [net._forward(0, len(net.layers) - 1) for net in two.nets]
    assert losses[0] == losses[1] == np.float32(two.nets[0].blobs["loss"].data) * 3
    assert two.taken(2)
    two.compare()


def test_another_blob_in_the_place_of_a_parameter(two):
    for net in two.nets:
        blob = Blob(net.params["c1"][0].dims)
        blob.data[...] = 0.25
        net.params["c1"][0] = blob
    two.step(3)  # no solver clears its gradient
    two.compare()


def test_a_parameter_that_two_layers_come_to_share(tmp_path):
    twice = NET.replace(
        '{ name: "loss"',
        f'{{ name: "i3" type: "InnerProduct" bottom: "i2" top: "i3" '
        f'inner_product_param {{ num_output: 600 {FILL} }} }} layer {{ name: "loss"',
    ).replace('bottom: "i2" bottom: "label"', 'bottom: "i3" bottom: "label"')
    two = Two(tmp_path, twice.replace("num_output: 5 ", "num_output: 600 "))
    two.step(2)
    assert two.taken()
    for net in two.nets:
        net.params["i3"][0] = net.params["i2"][0]
    for _ in range(3):
        two.feed()
        for net in two.nets:
            net.blobs["label"].data[...] = 3
            net.clear_param_diffs()
            net.forward()
            net.backward()
        assert np.abs(two.nets[0].params["i2"][0].diff).max() > 0
        two.compare()


@pytest.mark.parametrize("of", ["c2", "c1's weights"])
def test_a_gradient_that_is_shared_with_another_blob(of, two):
    others = []
    for net in two.nets:
        net.clear_param_diffs()
        blob = net.blobs[of] if of in net.blobs else net.params["c1"][0]
        others.append(Blob(blob.dims))
        blob.share_diff(others[-1])
    two.feed()
    for net in two.nets:
        net.blobs["label"].data[...] = 3
        net.forward()
        net.backward()
    assert np.abs(others[0].diff).max() > 0
    np.testing.assert_array_equal(*(blob.diff for blob in others))


def test_a_layer_with_a_function_of_its_own_is_called(tmp_path):
    two, seen = Two(tmp_path), []
    layer = two.nets[0].layers[3]
    of_type = layer.forward
    layer.forward = lambda *given: (seen.append(1), of_type(*given))[1]
    two.step(3)
    assert len(seen) == 3 and two.short == [0, 0]
    two.compare()


def test_other_shapes(two):
    for shape in ((3, 2, 12, 11), (1, 2, 12, 11)):
        for net in two.nets:
            net.blobs["data"].reshape(*shape)
            net.blobs["label"].reshape(shape[0])
        two.step(4)
        two.compare()
    two.step(4)
    assert two.taken(2)


def test_a_wrong_label_is_the_layers_error(two):
    for solver in two.solvers:
        solver.net.blobs["label"].data[...] = 17
        with pytest.raises(LayerError, match="label 17 at"):
            solver.step(1)
    two.step(2)
    assert two.taken(2)
    two.compare()


def test_numbers_that_are_not_finite(two):
    for net in two.nets:
        net.blobs["data"].data[...] = np.nan
    for solver in two.solvers:
        solver.step(1)
    two.compare()


def test_callbacks_see_each_layer(two):
    seen = []
    for net in two.nets:
        net.after_forward(lambda i: seen.append(i))
    before = list(two.short)
    two.step()
    assert len(seen) == 2 * len(two.nets[0].layers) and two.short[0] == before[0]
    two.compare()


def test_the_gradient_of_one_item_is_two_vectors_until_somebody_asks(two):
    two.feed()
    for net in two.nets:
        net.clear_param_diffs()
        net.forward()
        net.backward()
    gradients = [net.params["i1"][0] for net in two.nets]
    assert [b.diff_storage.deferred for b in gradients] == [True, False]
    np.testing.assert_array_equal(*(b.diff for b in gradients))
    two.compare()
    assert two.taken(2)


def test_what_the_gradient_follows_from_may_be_edited_before_the_update(two):
    two.feed()
    for net, solver in zip(two.nets, two.solvers):
        net.clear_param_diffs()
        net.forward()
        net.backward()
        net.blobs["c2"].data[...] += 1
        net.blobs["i1"].diff[...] *= 3
        solver.apply_update()
    two.compare()
    two.step(3)
    assert two.taken(2)


def test_multipliers_that_change(two):
    for mult in (2.0, 0.0, 1.0):
        for net in two.nets:
            net.learnable[0].lr_mult = mult
        two.step(2)
        two.compare()


def test_a_snapshot_that_is_restored(two, tmp_path):
    for i, solver in enumerate(two.solvers):
        solver.param.snapshot_prefix = str(tmp_path / str(i))
        solver.snapshot()
    first = two.random.get_state()
    two.step(3)
    after = [net.params["i1"][0].data.copy() for net in two.nets]
    two.random.set_state(first)
    for i, solver in enumerate(two.solvers):
        solver.restore(str(tmp_path / f"{i}_iter_{solver.iter - 3}.solverstate"))
    two.step(3)
    two.compare()
    for net, weights in zip(two.nets, after):
        np.testing.assert_array_equal(net.params["i1"][0].data, weights)


def test_a_net_that_shares_the_weights_follows(two, tmp_path):
    others = [caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST) for _ in two.nets]
    for other, net in zip(others, two.nets):
        other.share_with(net)
    for _ in range(4):
        assert two.taken()
        scores = []
        for other in others:
            other.blobs["data"].data[...] = two.nets[0].blobs["data"].data
            scores.append(other.forward(end="i2")["i2"].copy())
        np.testing.assert_array_equal(*scores)


OTHERS = [
    ('"ReLU" bottom: "c1"', '"TanH" bottom: "c1"'),
    ("kernel_size: 3 pad: 1", "kernel_size: 1"),
    ("kernel_size: 3 pad: 1", "kernel_size: 3 pad: 1 group: 2"),
    ("kernel_size: 2 stride: 2", "kernel_size: 2 stride: 2 pool: AVE"),
    ("num_output: 600", "num_output: 600 transpose: true"),
]


@pytest.mark.parametrize(("old", "new"), OTHERS)
def test_a_layer_that_another_way_computes(old, new, tmp_path):
    two = Two(tmp_path, NET.replace(old, new))
    two.step(3)
    assert two.short == [0, 0]
    two.compare()


ACTS = {
    "step": lambda net, solver, name: solver.step(1),
    "steps": lambda net, solver, name: solver.step(2),
    "forward": lambda net, solver, name: net.forward(),
    "backward": lambda net, solver, name: net.backward(),
    "part": lambda net, solver, name: net.forward(start="p1", end="i1"),
    "part back": lambda net, solver, name: net.backward(start="i2", end="c2"),
    "relu back": lambda net, solver, name: net.backward(start="r2", end="r2"),
    "relu": lambda net, solver, name: net.forward(start="r2", end="r2"),
    "clear": lambda net, solver, name: net.clear_param_diffs(),
    "edit": lambda net, solver, name: net.blobs[name].data.__imul__(1.25),
    "edit diff": lambda net, solver, name: net.blobs[name].diff.__imul__(0.5),
    "weights": lambda net, solver, name: net.params["i1"][0].data.__imul__(0.99),
    "gradient": lambda net, solver, name: net.params["i1"][0].diff.__imul__(1.5),
    "update": lambda net, solver, name: solver.apply_update(),
}


@pytest.mark.parametrize("seed", range(8))
def test_random_acts(seed, two):
    rng, kept = random.Random(seed), []
    for _ in range(60):
        act, name = rng.choice(list(ACTS)), rng.choice(BLOBS)
        two.feed()
        for net, solver in zip(two.nets, two.solvers):
            ACTS[act](net, solver, name)
        if rng.random() < 0.2:
            kept.append([net.blobs[name].data for net in two.nets])
        if kept and rng.random() < 0.3:
            kept.pop(rng.randrange(len(kept)))
        for a, b in kept:
            np.testing.assert_array_equal(a, b)
        del kept[3:]
        two.compare([n for n in BLOBS if rng.random() < 0.2], params=rng.random() < 0.2)
    assert min(two.short) > 0
