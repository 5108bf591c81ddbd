"""ResNet with its authors' names: stages, strides and what is projected."""

import pytest
from backbone_nets import built, skips, widths

from fcn.backbones import resnet


def test_resnet50_has_53_convolutions_in_four_stages():
    net, features, blob = built("resnet50")
    names = list(widths(net))
    assert len(names) == 53 and names[0] == "conv1"
    blocks = [sum(n.startswith(f"res{s}") and n.endswith("2c") for n in names) for s in range(2, 6)]
    assert blocks == [3, 4, 6, 3]
    assert [n for n in names if n.endswith("branch1")] == [f"res{s}a_branch1" for s in range(2, 6)]
    assert (features.stride, features.channels) == (32, 2048)
    assert skips(features, blob) == {16: ("res4f", 1024), 8: ("res3d", 512)}


def test_a_stages_first_block_halves_the_size_by_its_1x1_convolutions():
    strides = {
        layer.name: list(layer.convolution_param.stride)
        for layer in built("resnet50")[0].layer
        if layer.type == "Convolution" and layer.convolution_param.stride[:] == [2]
    }
    wanted = [f"res{s}a_branch{b}" for s in (3, 4, 5) for b in ("1", "2a")]
    assert sorted(strides) == sorted(["conv1", *wanted])


@pytest.mark.parametrize(
    "depth, count, names",
    [(50, 6, ["a", "b", "c", "d", "e", "f"]), (101, 4, ["a", "b1", "b2", "b3"])],
)
def test_names_of_long_stages_count_on(depth, count, names):
    assert resnet._block_names(depth, 4, count)[: len(names)] == names
