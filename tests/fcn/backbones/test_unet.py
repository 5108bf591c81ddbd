"""U-Net's contracting path: channels double as the size halves."""

import pytest
from backbone_nets import built, skips, widths


@pytest.mark.parametrize("name, first", [("unet", 64), ("unet-small", 16)])
def test_channels_double_from_level_to_level(name, first):
    net, features, blob = built(name)
    levels = [first << level for level in range(5)]
    assert list(widths(net).values()) == [width for width in levels for _ in range(2)]
    assert (blob(features.top), features.stride, features.channels) == ("conv5_2", 16, levels[4])
    assert skips(features, blob) == {
        1 << level: (f"conv{level + 1}_2", levels[level]) for level in (3, 2, 1, 0)
    }


def test_dropout_at_the_bottom_in_training_alone():
    assert built("unet-small", "train")[0].layer[-1].type == "Dropout"
    assert built("unet-small", "deploy")[0].layer[-1].type != "Dropout"
