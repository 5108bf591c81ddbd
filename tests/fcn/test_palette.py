"""The colour map and label PNGs."""

import numpy as np
import pytest
from PIL import Image

from data import DATASETS, dataset
from fcn.palette import save_label_png, voc_palette, with_colours


def test_voc_colours():
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        7: (128, 128, 128),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    for label, colour in known.items():
        assert tuple(palette[label]) == colour
    assert len({tuple(c) for c in palette}) == 256


@pytest.mark.parametrize("values", [range(256), [0, 1], [7], [0, 255], [3, 200, 254]])
def test_label_png_comes_back(values, tmp_path):
    label = np.random.RandomState(0).choice(list(values), (33, 17)).astype(np.uint8)
    palette = with_colours([(1, 2, 3), (4, 5, 6)])
    path = str(tmp_path / "label.png")
    save_label_png(path, label, palette)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), label)
        np.testing.assert_array_equal(np.array(image.convert("RGB")), palette[label])
    assert [p.name for p in tmp_path.iterdir()] == ["label.png"]


def test_what_is_no_label_map_is_refused(tmp_path):
    for wrong in (np.zeros((2, 2), np.int64), np.zeros((2, 2, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"expected a label map of uint8 \(H, W\)"):
            save_label_png(str(tmp_path / "x.png"), wrong, voc_palette())
    with pytest.raises(ValueError, match="expected a palette"):
        save_label_png(str(tmp_path / "x.png"), np.zeros((2, 2), np.uint8), voc_palette(21))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name, classes", [("camvid", 11), ("toy", 5), ("voc", 21)])
def test_datasets_have_names_and_colours(name, classes):
    module = dataset(name)
    assert name in DATASETS
    assert len(module.CLASSES) == len(set(module.CLASSES)) == classes
    assert module.PALETTE.shape == (256, 3) and module.PALETTE.dtype == np.uint8
    assert len({tuple(c) for c in module.PALETTE[:classes]}) == classes


def test_an_unknown_dataset_names_the_known():
    with pytest.raises(LookupError, match="no dataset 'mars' .*camvid, .*toy, voc"):
        dataset("mars")
