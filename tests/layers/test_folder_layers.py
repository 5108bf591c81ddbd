"""The layer of any folder of images and masks: lists, pairs by name, values to ignore."""

import numpy as np
import pytest
from PIL import Image

from segdata import DataError

MEAN = (1.0, 2.0, 3.0)


@pytest.fixture
def root(tmp_path):
    """Three images with masks, one of them in a folder of its own; values 0 to 2, 9 and 255."""
    rng = np.random.RandomState(0)
    for name in ("a b.jpg", "sub/c.png", "d.png"):
        for folder in ("images", "labels"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.randint(0, 256, (6, 8, 3)).astype(np.uint8)).save(
            tmp_path / "images" / name
        )
        Image.fromarray(rng.choice([0, 1, 2, 9, 255], (6, 8)).astype(np.uint8)).save(
            (tmp_path / "labels" / name).with_suffix(".png")
        )
    (tmp_path / "train.txt").write_text("a b.jpg\ta b.png\nsub/c.png\tsub/c.png\n")
    (tmp_path / "val.txt").write_text("d\nsub/c\n")
    return tmp_path


def net_of(data_net, **params):
    params = dict({"split": "val", "mean": MEAN, "classes": 10}, **params)
    return data_net("folder_layers", "FolderSegDataLayer", params)


def mask(root, name):
    with Image.open(root / "labels" / (name + ".png")) as image:
        return np.array(image)


def test_lists_of_pairs_and_of_names(root, data_net):
    net = net_of(data_net, root=str(root), split="train", randomize=False)
    for name in ("a b", "sub/c", "a b"):
        net.forward()
        np.testing.assert_array_equal(net.blobs["label"].data[0, 0], mask(root, name))
    net = net_of(data_net, root=str(root))
    net.forward()
    with Image.open(root / "images" / "d.png") as image:
        want = np.array(image)[:, :, ::-1].astype(np.float32) - np.float32(MEAN)
    np.testing.assert_array_equal(net.blobs["data"].data[0], want.transpose(2, 0, 1))


def test_folders_elsewhere(root, data_net, tmp_path):
    (root / "labels").rename(root / "masks")
    net = net_of(data_net, root=str(root), labels_dir=str(root / "masks"))
    assert [entry[1] for entry in net.layers[0].entries] == [
        str(root / "masks" / name) for name in ("d.png", "sub/c.png")
    ]


def test_without_lists_everything_is_served(root, data_net):
    net = net_of(data_net, images_dir=str(root / "images"), labels_dir=str(root / "labels"))
    assert len(net.layers[0].entries) == 3
    (root / "labels" / "d.png").unlink()
    with pytest.raises(DataError, match="1 of 3 images in .* no mask .* the first is 'd.png'"):
        net_of(data_net, images_dir=str(root / "images"), labels_dir=str(root / "labels"))


@pytest.mark.parametrize("ignore", [9, (9, 2)])
def test_ignored_values(ignore, root, data_net):
    net = net_of(data_net, root=str(root), ignore=ignore)
    net.forward()
    raw = mask(root, "d")
    want = np.where(np.isin(raw, ignore), 255, raw)
    assert (raw == 9).any()
    np.testing.assert_array_equal(net.blobs["label"].data[0, 0], want)


def test_a_value_out_of_range_is_named(root, data_net):
    y, x = np.argwhere(mask(root, "d") == 9)[0]
    with pytest.raises(DataError, match=f"d.png' holds 9 at x={x}, y={y} .*0 to 2, or 255"):
        net_of(data_net, root=str(root), classes=3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({}, "expected root, or images_dir and labels_dir"),
        ({"images_dir": "x"}, "expected root, or images_dir and labels_dir"),
        ({"images_dir": "/none", "labels_dir": "/none"}, "no folder '/none'"),
        ({"root": "/none"}, "cannot read the split's list '/none/val.txt'.*data/folder.py"),
    ],
)
def test_bad_params(change, message, data_net):
    with pytest.raises(DataError, match=message):
        net_of(data_net, **change)


@pytest.mark.parametrize("ignore", [300, "x", (1, 2.5)])
def test_bad_ignore(ignore, root, data_net):
    with pytest.raises(DataError, match="for 'ignore' a value from 0 to 255"):
        net_of(data_net, root=str(root), ignore=ignore)


def test_a_line_of_three_fields(root, data_net):
    (root / "val.txt").write_text("a\tb\tc\n")
    with pytest.raises(DataError, match="an image, a tab and a mask in a line"):
        net_of(data_net, root=str(root))


def test_two_images_of_one_name(root, data_net):
    Image.new("RGB", (8, 6)).save(root / "images" / "d.jpg")
    with pytest.raises(DataError, match="holds 'd.jpg' and 'd.png'"):
        net_of(data_net, images_dir=str(root / "images"), labels_dir=str(root / "labels"))


@pytest.mark.parametrize("crop", [(8, 2**31), (2**31 - 1, 2**31 - 1)])
def test_a_crop_larger_than_the_memory_is_one_error(root, data_net, crop):
    with pytest.raises(DataError, match="more than there is memory for"):
        net_of(data_net, root=str(root), split="train", crop=crop).forward()


def test_numbers_beyond_floats_are_one_error(root, data_net):
    with pytest.raises(DataError, match="expected 3 numbers for 'mean'"):
        net_of(data_net, root=str(root), mean=(10**400, 1, 1))
