"""The CamVid layer: void, both forms of the lists, joined splits; the real data where it is."""

import os

import numpy as np
import pytest
from PIL import Image

import bootstrap
from segdata import DataError

MEAN = (107.0, 108.0, 104.0)
FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))


@pytest.fixture
def camvid_dir(tmp_path):
    """Two images in train, one in val; jpg and png; labels 0 to 11."""
    rng = np.random.RandomState(0)
    for split, names in (("train", ["a.jpg", "b.png"]), ("val", ["c.png"])):
        (tmp_path / split).mkdir()
        (tmp_path / (split + "annot")).mkdir()
        for name in names:
            Image.fromarray(rng.randint(0, 256, (12, 16, 3)).astype(np.uint8)).save(
                tmp_path / split / name
            )
            label = rng.randint(0, 12, (12, 16)).astype(np.uint8)
            Image.fromarray(label).save(tmp_path / (split + "annot") / (name[0] + ".png"))
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("/SegNet/CamVid/val/c.png /SegNet/CamVid/valannot/c.png\n")
    return tmp_path


def params(root, split, **more):
    return dict({"camvid_dir": str(root), "split": split, "mean": MEAN, "seed": 3}, **more)


def test_void_becomes_255(camvid_dir, data_net):
    net = data_net("camvid_layers", "CamVidSegDataLayer", params(camvid_dir, "val"))
    net.forward()
    with Image.open(camvid_dir / "valannot" / "c.png") as image:
        raw = np.array(image)
    assert (raw == 11).any()
    np.testing.assert_array_equal(net.blobs["label"].data[0, 0], np.where(raw == 11, 255, raw))


def test_splits_joined_in_a_batch(camvid_dir, data_net):
    net = data_net(
        "camvid_layers",
        "CamVidSegDataLayer",
        params(camvid_dir, "train+val", randomize=False, batch_size=3),
    )
    net.forward()
    assert net.blobs["data"].data.shape == (3, 3, 12, 16)
    with Image.open(camvid_dir / "val" / "c.png") as image:
        want = np.array(image)[:, :, ::-1].astype(np.float32) - np.float32(MEAN)
    np.testing.assert_array_equal(net.blobs["data"].data[2], want.transpose(2, 0, 1))


def test_label_12_is_out_of_range(camvid_dir, data_net):
    Image.fromarray(np.full((12, 16), 12, np.uint8)).save(camvid_dir / "valannot" / "c.png")
    with pytest.raises(DataError, match="holds 12 .*0 to 10, or 255"):
        data_net("camvid_layers", "CamVidSegDataLayer", params(camvid_dir, "val"))


def test_a_line_of_three_words_is_refused(camvid_dir, data_net):
    (camvid_dir / "val.txt").write_text("a b c\n")
    with pytest.raises(DataError, match="expected an id or two paths in a line; received 'a b c'"):
        data_net("camvid_layers", "CamVidSegDataLayer", params(camvid_dir, "val"))


@pytest.mark.data
@pytest.mark.parametrize("split, count", [("train", 367), ("val", 101), ("test", 233)])
def test_real_camvid(split, count, data_net):
    root = os.path.join(FCN_DATA, "camvid")
    if not os.path.isdir(root):
        pytest.skip(f"no CamVid in '{root}'; FCN_DATA says where the data is")
    net = data_net("camvid_layers", "CamVidSegDataLayer", params(root, split))
    assert len(net.layers[0].entries) == count
    for _ in range(5):
        net.forward()
        assert net.blobs["data"].data.shape == (1, 3, 360, 480)
        values = np.unique(net.blobs["label"].data)
        assert set(values) <= set(range(11)) | {255} and len(values) > 5
