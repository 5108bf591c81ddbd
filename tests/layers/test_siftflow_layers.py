"""The SIFT Flow layer: one image, two labels."""

import data_samples
import numpy as np
import pytest
import scipy.io
from PIL import Image

from fcn.run_files import images
from segdata import DataError

SUBFOLDER = data_samples.SIFTFLOW_SUBFOLDER
TOPS = ("data", "sem", "geo")
TEST = ("coast_natu975", "highway_gre141")


@pytest.fixture
def siftflow_dir(tmp_path):
    data_samples.siftflow(tmp_path / "sift-flow")
    return tmp_path / "sift-flow"


def net_of(data_net, siftflow_dir, split="test", tops=TOPS, **more):
    params = dict({"siftflow_dir": str(siftflow_dir), "seed": 1337, "split": split}, **more)
    return data_net("siftflow_layers", "SIFTFlowSegDataLayer", params, tops)


def reference(siftflow_dir, name):
    """The published layer's arithmetic."""
    with Image.open(str(siftflow_dir / "Images" / SUBFOLDER / (name + ".jpg"))) as image:
        data = np.array(image, np.float32)[:, :, ::-1]
    data -= np.array((114.578, 115.294, 108.353), np.float32)
    semantic, geometric = (
        scipy.io.loadmat(str(siftflow_dir / kind / SUBFOLDER / (name + ".mat")))["S"]
        for kind in ("SemanticLabels", "GeoLabels")
    )
    semantic = semantic.astype(np.uint8)
    semantic -= 1
    geometric[geometric == -1] = 0
    geometric = geometric.astype(np.uint8)
    geometric -= 1
    return data.transpose(2, 0, 1), semantic[None], geometric[None]


def test_image_and_both_labels(siftflow_dir, data_net):
    net = net_of(data_net, siftflow_dir)
    seen = [set(), set()]
    for name in TEST + TEST[:1]:
        net.forward()
        for top, want in zip(TOPS, reference(siftflow_dir, name)):
            assert net.blobs[top].data.shape == (1,) + want.shape
            np.testing.assert_array_equal(net.blobs[top].data[0], want)
        for values, top in zip(seen, TOPS[1:]):
            values.update(net.blobs[top].data.ravel().astype(int))
    assert seen[1] == {0, 1, 2, 255} and 255 in seen[0] and max(seen[0] - {255}) <= 32
    assert images(net) == list(TEST)


def test_random_order_is_the_published_one(siftflow_dir, data_net):
    net = net_of(data_net, siftflow_dir, "trainval")
    assert net.layers[0].random
    names = (siftflow_dir / "trainval.txt").read_text().split()
    for index in [1, 1, 1, 1, 0, 2]:  # int(U * 3) of seed 1337, as 1535, 1325, 909, … of 2486
        net.forward()
        np.testing.assert_array_equal(
            net.blobs["data"].data[0], reference(siftflow_dir, names[index])[0]
        )


def test_augmentation_treats_both_labels_alike(siftflow_dir, data_net):
    for name in (siftflow_dir / "trainval.txt").read_text().split():
        semantic = (np.mgrid[:40, :50][1] // 2 + 1).astype(np.uint8)
        Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(
            str(siftflow_dir / "Images" / SUBFOLDER / (name + ".jpg"))
        )
        for kind, label in (("SemanticLabels", semantic), ("GeoLabels", semantic % 3 + 1)):
            scipy.io.savemat(str(siftflow_dir / kind / SUBFOLDER / (name + ".mat")), {"S": label})
    net = net_of(
        data_net,
        siftflow_dir,
        "trainval",
        crop=(24, 60),
        scale=(0.8, 1.2),
        mirror=True,
        batch_size=3,
        balance=0.5,
    )
    for _ in range(5):
        net.forward()
        semantic, geometric = net.blobs["sem"].data, net.blobs["geo"].data
        inside = semantic != 255
        assert inside.any() and not inside.all()
        np.testing.assert_array_equal(geometric[inside], (semantic[inside] + 1) % 3)
        assert (geometric[~inside] == 255).all()


@pytest.mark.parametrize(
    "kind, value, message",
    [
        ("SemanticLabels", 34, "expected 1 to 33, or 0"),
        ("GeoLabels", 4, "1 to 3, or -1 or 0"),
    ],
)
def test_a_label_out_of_range(kind, value, message, siftflow_dir, data_net):
    label = np.ones((43, 47), np.int16)
    label[5, 6] = value
    scipy.io.savemat(str(siftflow_dir / kind / SUBFOLDER / (TEST[0] + ".mat")), {"S": label})
    with pytest.raises(DataError, match=f"{TEST[0]}.mat' holds {value} at x=6, y=5 .*{message}"):
        net_of(data_net, siftflow_dir)


def test_a_label_of_another_size(siftflow_dir, data_net):
    path = siftflow_dir / "GeoLabels" / SUBFOLDER / (TEST[0] + ".mat")
    scipy.io.savemat(str(path), {"S": np.ones((9, 9))})
    with pytest.raises(DataError, match="image and label differ in size .*'.*GeoLabels.*' is 9x9"):
        net_of(data_net, siftflow_dir)


def test_three_tops(siftflow_dir, data_net):
    with pytest.raises(DataError, match="expected 3 tops, image and label and label; received 2"):
        net_of(data_net, siftflow_dir, tops=("data", "label"))
    with pytest.raises(DataError, match="unknown key 'mean'"):
        net_of(data_net, siftflow_dir, mean=(1, 2, 3))


def test_missing_split(siftflow_dir, data_net):
    with pytest.raises(DataError, match="val.txt.*data/siftflow.py"):
        net_of(data_net, siftflow_dir, "val")
