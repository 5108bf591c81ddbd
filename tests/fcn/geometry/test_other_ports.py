"""What the ports of FCN-8s do with sizes: their own rules, computed for one image."""

import pytest

from fcn.geometry.other_ports import VARIANTS

SAID = {v.name.split()[0]: v.describe for v in VARIANTS}


def test_each_describes_itself_for_any_image():
    for variant in VARIANTS:
        assert variant.describe(1, 1) and variant.describe(500, 334)
    assert len(SAID) == len(VARIANTS) == 5


@pytest.mark.parametrize(
    "name, words",
    [
        ("image-segmentation-keras", "(15×10 after pool5)"),
        ("image-segmentation-keras", "the scores are 504×336"),  # 8·(2·(2·15 + 2 → 31) → 62) + 8
        ("FCN.tensorflow", "(16×11 after pool5)"),
        ("awesome-semantic-segmentation-pytorch", "15×10 scores"),
        ("awesome-semantic-segmentation-pytorch", "35.64 instead of 32"),  # 499 / 14
        ("torchvision", "stride 8 (63×42)"),
    ],
)
def test_sizes_of_an_image_of_500x334(name, words):
    assert words in SAID[name](500, 334)
