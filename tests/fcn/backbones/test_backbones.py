"""Each backbone: the blobs that it offers have the strides and channels that it says."""

import pytest
from backbone_nets import SIZE, built
from fcn_helpers import raised

import caffe
from caffe import layers as L
from fcn.backbones import LEARNED, Trunk
from fcn.catalog.backbones import BACKBONES


def builders():
    """One backbone of each builder, the lighter first."""
    found = {}
    for name, row in BACKBONES.items():
        found.setdefault(row.builder, name)
    return sorted(found.values())


#: Whole trunks of VGG's width take seconds to fill; their facts are those of tests/nets.
LIGHT = [name for name in builders() if not name.startswith(("vgg", "resnet", "alexnet", "unet"))]


@pytest.mark.parametrize("name", builders())
def test_strides_are_fine_enough_for_the_catalog(name):
    net, features, blob = built(name)
    row = BACKBONES[name]
    assert list(features.skips) == sorted(features.skips, reverse=True)
    assert set(row.strides) <= {features.stride, *features.skips}
    assert features.stride > max(features.skips, default=0)
    layers = {layer.name: layer for layer in net.layer}
    first = next(layer for layer in net.layer if layer.type == "Convolution")
    assert first.name == row.first
    assert {blob(skip.blob) for skip in features.skips.values()}.isdisjoint({blob(features.top)})
    assert len(layers) == len(net.layer)


@pytest.mark.parametrize("name", [*LIGHT, "unet-small"])
def test_blobs_are_what_the_features_say(name, tmp_path):
    net, features, blob = built(name, classifier=False)
    path = tmp_path / "net.prototxt"
    path.write_text(str(net))
    loaded = caffe.Net(str(path), caffe.TEST)
    top = loaded.blobs[blob(features.top)].shape
    assert top[1] == features.channels
    border = 0 if not features.padded else 200
    for stride, skip in features.skips.items():
        shape = loaded.blobs[blob(skip.blob)].shape
        assert shape[1] == skip.channels, (name, stride)
        assert SIZE / stride - 1 <= shape[2] <= (SIZE + 2 * 100 + border) / stride + 2
        assert shape[2] / top[2] >= 0.75 * features.stride / stride


@pytest.mark.parametrize("name", builders())
def test_deploy_has_no_dropout(name):
    assert "Dropout" not in {layer.type for layer in built(name)[0].layer}


@pytest.mark.parametrize("name", builders())
def test_a_fixed_trunk_learns_nothing_and_names_take_the_suffix(name):
    net, _, _ = built(name, fixed=True, suffix="-hha")
    for layer in net.layer[1:]:
        assert layer.name.endswith("-hha"), layer.name
        if layer.type in ("Convolution", "BatchNorm", "Scale"):
            assert layer.param and all(p.lr_mult == 0 for p in layer.param), layer.name


def test_a_trunk_can_be_fixed_up_to_a_stride():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    trunk = Trunk(n, fixed=4)
    for stride in (2, 4, 8):
        trunk.reach(stride)
        trunk[f"conv{stride}"] = L.Convolution(n.data, num_output=1, kernel_size=1, param=LEARNED)
    rates = {layer.name: [p.lr_mult for p in layer.param] for layer in n.to_proto().layer[1:]}
    assert rates == {"conv2": [0, 0], "conv4": [0, 0], "conv8": [1, 2]}


def test_a_layer_may_have_another_name():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    trunk = Trunk(n, "-d", {"conv1": "first"})
    trunk["conv1"] = L.Convolution(n.data, num_output=1, kernel_size=1)
    assert list(n.tops) == ["data", "first-d"] and trunk["conv1"] is n["first-d"]
    assert "conv2" in raised(KeyError, lambda: trunk["conv2"])
