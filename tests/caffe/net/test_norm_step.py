"""BatchNorm, Scale and what follows as one step: the blobs hold what the layers alone leave."""

import itertools

import numpy as np
import pytest
from net_pair import net_pair

from caffe.kernels import norm
from caffe.net.norm_step import NormStep

pytestmark = pytest.mark.cpu_only

NET = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {n} dim: 3 dim: 6
  dim: 5 }} }} }}
layer {{ name: "target" type: "Input" top: "target" input_param {{ shape {{ dim: {n} dim: 8 dim: 6
  dim: 5 }} }} }}
{side}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {{
  num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "{top}"
  batch_norm_param {{ {stored} }} }}
layer {{ name: "scale" type: "Scale" bottom: "{top}" top: "{top}" scale_param {{ bias_term: {bias}
  filler {{ type: "gaussian" mean: 1 std: 0.3 }} bias_filler {{ type: "gaussian" std: 1 }} }} }}
{after}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "{end}" bottom: "target" top: "loss" }}
"""
#: What follows: the layers, and the last one's top.
RELU = 'layer {{ name: "relu" type: "ReLU" bottom: "{top}" top: "{top}" }}', "{top}"
RELU6 = RELU[0].replace("ReLU", "ReLU6"), "{top}"
CONV = """layer {{ name: "side" type: "Convolution" bottom: "data" top: "side" convolution_param {{
  num_output: 8 kernel_size: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "side_relu" type: "ReLU" bottom: "side" top: "side" }}
"""
SUM = 'layer {{ name: "sum" type: "Eltwise" bottom: "side" bottom: "{top}" top: "sum" }}', "sum"
SUM_RELU = SUM[0] + 'layer {{ name: "relu" type: "ReLU" bottom: "sum" top: "sum" }}', "sum"
OTHER_WAY = SUM_RELU[0].replace('bottom: "side" bottom: "{top}"', 'bottom: "{top}" bottom: "side"')
SPLIT = """layer {{ name: "near" type: "Power" bottom: "%s" top: "near"
  power_param {{ scale: 0.3 }} }}
layer {{ name: "far" type: "TanH" bottom: "%s" top: "far" }}
layer {{ name: "both" type: "Eltwise" bottom: "near" bottom: "far" top: "both" }}"""
AFTER = {
    "nothing": ("", "{top}"),
    "relu": RELU,
    "relu6": RELU6,
    "sum": SUM,
    "sum and relu": SUM_RELU,
    "sum the other way and relu6": (OTHER_WAY.replace('"ReLU"', '"ReLU6"'), "sum"),
    "split": (SPLIT % ("{top}", "{top}"), "both"),
    "relu and split": (RELU[0] + SPLIT % ("{top}", "{top}"), "both"),
    "sum and split": (SUM[0] + SPLIT % ("sum", "sum"), "both"),
    "sum, relu and split": (SUM_RELU[0] + SPLIT % ("sum", "sum"), "both"),
}
FORMS = list(itertools.product((1, 3), ("conv", "bn"), (False, True), (False, True)))


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """(both, nets): ``both(act)`` does the same to a net and to one with plain operators."""

    def fill(net, numbers):
        for blob, value in zip(net.params["bn"], (numbers.randn(8), numbers.rand(8) + 0.5, 1)):
            blob.data[...] = value

    def make(n=3, top="bn", stored=False, bias=True, after="relu"):
        settings = "use_global_stats: true" if stored else ""
        layers, end = (part.format(top=top) for part in AFTER[after])
        side = CONV.format() if "side" in layers else ""
        words = {"stored": settings, "bias": str(bias).lower(), "after": layers, "end": end}
        text = NET.format(n=n, top=top, side=side, **words)
        return net_pair(tmp_path / "net.prototxt", text, monkeypatch, fill)

    return make


def compare(nets):
    """Everything that can be read, data and diffs."""
    for kind in ("data", "diff"):
        for name in nets[0].blobs:
            close(*(getattr(net.blobs[name], kind).copy() for net in nets), f"{kind} of {name}")
        for name in nets[0].params:
            for i in range(len(nets[0].params[name])):
                values = (getattr(net.params[name][i], kind).copy() for net in nets)
                close(*values, f"{kind} of {name}[{i}]")


def close(found, expected, what):
    largest = max(np.abs(expected).max(), 1)  # the gradient of a bias before BatchNorm is 0
    assert np.abs(found - expected).max() <= 5e-5 * largest, what


@pytest.fixture
def steps(monkeypatch):
    """How often the steps ran: forward, backward."""
    seen = {"run": 0, "backward": 0}
    for name in seen:
        original = getattr(NormStep, name)

        def spy(*args, name=name, original=original):
            done = original(*args)
            seen[name] += done
            return done

        monkeypatch.setattr(NormStep, name, spy)
    return seen


def step(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()


@pytest.mark.parametrize(("n", "top", "stored", "bias"), FORMS)
def test_forward_and_backward_equal_the_two_layers(pair, steps, n, top, stored, bias):
    both, nets = pair(n, top, stored, bias)
    for _ in range(2):
        both(step)
    assert steps == {"run": 2, "backward": 2}
    compare(nets)


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("top", ["conv", "bn"])
@pytest.mark.parametrize("way", ["native", "plain"])
def test_what_follows_is_part_of_the_step(pair, steps, monkeypatch, way, top, stored, after):
    if way == "plain":
        monkeypatch.setattr(norm.native, "applies", lambda x: False)
    both, nets = pair(top=top, stored=stored, after=after)
    for _ in range(3):
        both(step)
        assert_last_layer_was_in_the_step(nets[0], after)
    assert steps == {"run": 3, "backward": 3}
    compare(nets)
    both(lambda net: net.backward())
    compare(nets)


def assert_last_layer_was_in_the_step(net, after):
    (found,) = net._passes.plan._norms.values()
    rest = 4 if "split" in after else 1  # layers
    assert found.end == len(net.layers) - rest, after


@pytest.mark.parametrize("what", ["PROD", "MAX", "SUM coeff: 1 coeff: -1"])
def test_other_sums_are_left_to_the_layer(pair, monkeypatch, what):
    layers = SUM[0].replace('top: "sum"', f'top: "sum" eltwise_param {{{{ operation: {what} }}}}')
    monkeypatch.setitem(AFTER, what, (layers, "sum"))
    both, nets = pair(after=what)
    both(step)
    (found,) = nets[0]._passes.plan._norms.values()
    assert found.end == found.first + 2
    compare(nets)


@pytest.mark.parametrize("index", range(3))
def test_stored_statistics_that_change_between_passes_count(pair, steps, index):
    """The mean and the variance that come of them are kept from pass to pass."""
    both, nets = pair(stored=True)
    both(step)

    def edit(net):
        net.params["bn"][index].data[...] *= 1.5

    both(edit)
    both(step)
    assert steps == {"run": 2, "backward": 2}
    compare(nets)


@pytest.mark.parametrize(("n", "top", "stored", "bias"), FORMS)
def test_a_second_backward_pass_without_a_forward_pass(pair, steps, n, top, stored, bias):
    """It starts from what the first has left in the Scale, as Caffe's does."""
    both, nets = pair(n, top, stored, bias)
    both(step)
    both(lambda net: net.backward())
    assert steps["backward"] == 1
    compare(nets)


def with_callback(net):
    net.before_backward(lambda i: None)
    net.backward()
    net._passes.callbacks["before_backward"].clear()


def in_parts(net):
    net.backward(end="scale")
    net.backward(start="bn")


def kept_diff(net):
    kept = net.blobs[net.top_names["bn"][0]].diff
    net.backward()
    del kept


def edited(net):
    for name in {"data", "conv", "bn"} & {*net.blobs}:
        net.blobs[name].data[...] += 1
    net.backward()


def new_weights(net):
    net.params["scale"][0].data[...] *= 2
    net.backward()
    net.params["scale"][0].data[...] *= 2  # the gradient that is left in the blob is the old one's


def scale_alone_again(net):
    net.forward(start="scale")
    net.backward()


def norm_alone_again(net):
    net.forward(start="bn", end="bn")
    net.backward()


def last_blob(net):
    return net.bottom_names["loss"][0]


def last_alone_again(net):
    net.forward(start=[*net._layer_names][-2], end="loss")
    net.backward()


def edited_result(net):
    """A ReLU lets through what its top says."""
    net.blobs[last_blob(net)].data[...] -= 0.5
    net.backward()


def edited_diff(net):
    """What the layers leave between them was made of the diff before."""
    net.backward()
    net.blobs[last_blob(net)].diff[...] = 7


def held(net):
    kept = [
        getattr(net.blobs[name], kind)
        for name in {"bn", "conv"} & {*net.blobs}
        for kind in ("data", "diff")
    ]
    step(net)
    del kept


def edited_parts(net):
    """The Split's sum was made of the diffs before."""
    net.backward()
    for name in net.blobs:
        if "split" in name:
            net.blobs[name].diff[...] = 7


def held_parts(net):
    kept = [net.blobs[name].diff for name in net.blobs if "split" in name]
    step(net)
    del kept


def parts_of_the_gradient(net):
    """One reader's gradient is of the pass before."""
    net.backward(end=[*net._layer_names][-2])
    net.backward(start=[*net._layer_names][-4])


OBSERVERS = [
    with_callback,
    in_parts,
    kept_diff,
    edited,
    new_weights,
    scale_alone_again,
    norm_alone_again,
    last_alone_again,
    edited_result,
    edited_diff,
    held,
    edited_parts,
    held_parts,
    parts_of_the_gradient,
]


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("after", "top"),
    [
        *[("relu", "bn"), ("sum", "bn"), ("sum", "conv"), ("sum and relu", "bn")],
        *[("relu6", "conv"), ("split", "bn"), ("relu and split", "conv")],
        *[("sum and split", "bn"), ("sum, relu and split", "conv")],
    ],
)
def test_whoever_looks_between_sees_the_layers(pair, steps, observer, stored, after, top):
    both, nets = pair(stored=stored, after=after, top=top)
    both(step)
    both(lambda net: net.forward())
    both(observer)
    assert steps["run"] >= 2
    compare(nets)
    both(step)
    compare(nets)


def test_one_number_a_channel_is_left_to_the_layers(pair, steps):
    both, nets = pair(n=1)

    def shrink(net):
        net.blobs["data"].reshape(1, 3, 1, 1)
        net.blobs["target"].reshape(1, 8, 1, 1)

    both(shrink)
    both(lambda net: net.forward())
    assert steps["run"] == 0
    compare(nets)
