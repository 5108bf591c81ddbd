"""Smaller copies of large images and masks."""

import numpy as np
import pytest
from fcn_helpers import raised
from PIL import Image

from data.preparing.shrink import shrink
from fcn.palette import voc_palette
from segdata.errors import DataError


@pytest.mark.parametrize("longest, size", [(20, (20, 10)), (1, (1, 1)), (100, (40, 20))])
def test_classes_stay_what_they_are(tmp_path, longest, size):
    label = np.zeros((20, 40), np.uint8)
    label[:, 20:] = 7
    Image.fromarray(np.full((20, 40, 3), 90, np.uint8)).save(str(tmp_path / "a.png"))
    Image.fromarray(label).save(str(tmp_path / "m.png"))
    out = [str(tmp_path / "out" / name) for name in ("a.jpg", "m.png")]
    shrink(str(tmp_path / "a.png"), str(tmp_path / "m.png"), *out, longest, voc_palette())
    with Image.open(out[0]) as image, Image.open(out[1]) as mask:
        assert image.size == mask.size == size and image.format == "JPEG" and mask.mode == "P"
        assert set(np.unique(np.array(mask))) <= {0, 7}
        assert abs(int(np.array(image)[0, 0, 0]) - 90) <= 1


def test_a_mask_of_another_size(tmp_path):
    Image.new("RGB", (4, 4)).save(str(tmp_path / "a.png"))
    Image.new("L", (4, 5)).save(str(tmp_path / "m.png"))
    names = [str(tmp_path / name) for name in ("a.png", "m.png", "b.jpg", "n.png")]
    assert "is 4x4, its mask 4x5" in raised(DataError, shrink, *names, 2, voc_palette())
    assert not (tmp_path / "b.jpg").exists()
