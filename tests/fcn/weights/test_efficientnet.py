"""EfficientNet-Lite's tensors in our classifier: the numbers of PyTorch's net."""

import os

import numpy as np
import pytest
from fcn_helpers import net_of, raised

from fcn.backbones import efficientnet as backbone
from fcn.classifiers import efficientnet as classifier
from fcn.prototxt import to_text
from fcn.weights import efficientnet
from fcn.weights.efficientnet import layer_of

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def names(variant):
    """PyTorch's names, in the order of the published file."""
    yield "_conv_stem.weight"
    yield from ("_bn0." + field for field in NORM)
    block = 0
    for stage in backbone.stages(variant):
        for _ in range(stage.repeats):
            parts = [("expand_conv", "bn0")] * (stage.expansion > 1)
            for conv, norm in parts + [("depthwise_conv", "bn1"), ("project_conv", "bn2")]:
                yield f"_blocks.{block}._{conv}.weight"
                yield from (f"_blocks.{block}._{norm}.{field}" for field in NORM)
            block += 1
    yield "_conv_head.weight"
    yield from ("_bn1." + field for field in NORM)
    yield from ("_fc.weight", "_fc.bias")


def random_state(net, variant, seed=0):
    """Arrays for each name, of the shapes in the net, that keep values near 1."""
    rng, state = np.random.RandomState(seed), {}
    for name in names(variant):
        place = layer_of(name)
        if place is None:
            state[name] = np.array(3)
            continue
        shape = tuple(net.params[place[0]][place[1]].data.shape)
        values = rng.standard_normal(shape)
        if len(shape) > 1:
            values /= np.sqrt(np.prod(shape[1:]))
        elif name.endswith("var") or (name.endswith("weight") and "bn" in name):
            values = rng.uniform(0.5, 1.5, shape)
        state[name] = values.astype(np.float32)
    return state


def deploy(tmp_path, variant):
    return net_of(tmp_path, to_text(classifier.lite(variant)("deploy")))


def test_names():
    assert len(list(names(0))) == 296  # as many as the published file has
    assert layer_of("_conv_stem.weight") == ("stem", 0)
    assert layer_of("_bn1.bias") == ("head_scale", 1)
    assert layer_of("_blocks.0._bn1.running_mean") == ("block1_depthwise_bn", 0)
    assert layer_of("_blocks.15._project_conv.weight") == ("block16_project", 0)
    assert layer_of("_fc.bias") == ("fc", 1)
    assert layer_of("_bn0.num_batches_tracked") is None


def test_widths_and_depths():
    assert [(s.repeats, s.width) for s in backbone.stages(0)] == [
        (1, 16),
        (2, 24),
        (2, 40),
        (3, 80),
        (3, 112),
        (4, 192),
        (1, 320),
    ]
    assert [s.repeats for s in backbone.stages(1)] == [1, 3, 3, 4, 4, 5, 1]
    assert [s.width for s in backbone.stages(2)] == [16, 24, 48, 88, 120, 208, 352]


@pytest.mark.slow
def test_the_net_computes_what_pytorchs_does(tmp_path):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    net = deploy(tmp_path, 0)
    state = random_state(net, 0)
    efficientnet.fill(net, state)
    s = {name: torch.as_tensor(values) for name, values in state.items()}

    def norm(x, name):
        mean, var, gamma, beta = (
            s[f"{name}.{field}"] for field in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, gamma, beta, False, 0, backbone.EPS)

    def conv(x, name, stride=1, groups=1):
        weight = s[name + ".weight"]
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, groups)

    rgb = np.random.RandomState(5).uniform(-1, 1, (1, 3, 65, 97)).astype(np.float32)
    x, block = F.relu6(norm(conv(torch.as_tensor(rgb), "_conv_stem", 2), "_bn0")), 0
    for stage in backbone.stages(0):
        for i in range(stage.repeats):
            name, y = f"_blocks.{block}._", x
            if stage.expansion > 1:
                y = F.relu6(norm(conv(y, name + "expand_conv"), name + "bn0"))
            stride = stage.stride if i == 0 else 1
            y = F.relu6(norm(conv(y, name + "depthwise_conv", stride, y.shape[1]), name + "bn1"))
            y = norm(conv(y, name + "project_conv"), name + "bn2")
            x = x + y if i else y
            block += 1
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    wanted = F.softmax(F.linear(x, s["_fc.weight"], s["_fc.bias"]), 1).numpy()

    net.blobs["data"].reshape(*rgb.shape)
    net.blobs["data"].data[...] = rgb[:, ::-1]
    np.testing.assert_allclose(net.forward()["prob"], wanted, rtol=1e-3, atol=1e-7)


@pytest.mark.slow
def test_state_dicts_that_do_not_fit_are_refused(tmp_path):
    net = deploy(tmp_path, 0)
    state = random_state(net, 0)
    short = dict(state)
    del short["_fc.bias"]
    assert "nothing for fc blob 1" in raised(ValueError, efficientnet.fill, net, short)
    wide = dict(state, **{"_fc.bias": np.zeros(999, np.float32)})
    assert "_fc.bias is (999,), fc is (1000,)" in raised(ValueError, efficientnet.fill, net, wide)
    more = dict(state, **{"_blocks.16._bn0.bias": np.zeros(3, np.float32)})
    assert "which the net lacks" in raised(ValueError, efficientnet.fill, net, more)


@pytest.mark.slow
def test_other_weights_are_no_published_ones(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    efficientnet.write(random_state(deploy(tmp_path, 0), 0), 0, path)
    text = raised(ValueError, efficientnet.check, 0, path, (906, 0.63173))
    assert "expected class 906 (0.6317)" in text
