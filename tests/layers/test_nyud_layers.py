"""The NYUDv2 layer: which tops it serves, in which arithmetic, and what it refuses."""

import data_samples
import numpy as np
import pytest
import scipy.io
from PIL import Image

from fcn.run_files import images
from segdata import DataError

ALL = ("color", "depth", "hha", "label")


@pytest.fixture
def nyud_dir(tmp_path):
    data_samples.nyud(tmp_path / "nyud")
    return tmp_path / "nyud"


def net_of(data_net, nyud_dir, tops=("color", "label"), split="test", blobs=None, **more):
    params = dict(
        {"tops": list(tops), "seed": 1337, "nyud_dir": str(nyud_dir), "split": split}, **more
    )
    return data_net("nyud_layers", "NYUDSegDataLayer", params, blobs or tops)


def reference(nyud_dir, top, name):
    """The published layer's arithmetic, after facts on its code: float32 throughout."""
    if top == "label":
        label = scipy.io.loadmat(str(nyud_dir / "segmentation" / f"img_{name}.mat"))
        label = label["segmentation"].astype(np.uint8)
        label -= 1  # 0 becomes 255
        return label[None]
    folder = {"color": "images", "depth": "depth", "hha": "hha"}[top]
    with Image.open(str(nyud_dir / "data" / folder / f"img_{name}.png")) as image:
        values = np.array(image, np.float32)
    if top == "depth":
        values = np.log(values)
        values -= 7.844
        return values[None]
    if top == "color":
        values = values[:, :, ::-1]
        values -= np.array((116.190, 97.203, 92.318), np.float32)
    else:
        values -= np.array((132.431, 94.076, 118.477), np.float32)
    return values.transpose(2, 0, 1)


@pytest.mark.parametrize(
    "tops",
    [
        ("color", "label"),
        ("hha", "label"),
        ("color", "depth", "label"),
        ("color", "hha", "label"),
        ("label", "hha", "depth", "color"),
        ("depth",),
    ],
)
def test_tops_in_any_order(tops, nyud_dir, data_net):
    net = net_of(data_net, nyud_dir, tops)
    for name in ("5001", "5002", "5001"):
        net.forward()
        for top in tops:
            want = reference(nyud_dir, top, name)
            assert net.blobs[top].data.shape == (1,) + want.shape
            np.testing.assert_array_equal(net.blobs[top].data[0], want)
    assert images(net) == ["img_5001", "img_5002"]


def test_labels_have_all_classes_and_void(nyud_dir, data_net):
    values = set()
    net = net_of(data_net, nyud_dir, ALL)
    for _ in range(2):
        net.forward()
        values |= set(net.blobs["label"].data.ravel().astype(int))
    assert 255 in values and len(values) > 10 and max(values - {255}) <= 39


def test_random_order_is_the_published_one_and_seeks(nyud_dir, data_net):
    """Seed 1337 over three images, draw by draw."""
    net = net_of(data_net, nyud_dir, ("color", "label"), "trainval")
    names = ["5003", "5004", "5005"]
    order = [1, 1, 1, 1, 0, 2, 1, 2]  # int(U * 3) of seed 1337, as 491, 423, 290, 465, … of 795
    layer = net.layers[0]
    for position, index in enumerate(order):
        assert layer.position == position
        net.forward()
        np.testing.assert_array_equal(
            net.blobs["color"].data[0], reference(nyud_dir, "color", names[index])
        )
    layer.seek(4)
    net.forward()
    np.testing.assert_array_equal(
        net.blobs["color"].data[0], reference(nyud_dir, "color", names[order[4]])
    )


def test_augmentation_treats_all_tops_alike(nyud_dir, data_net):
    """Files that hold their own position give it away wherever the window lies."""
    rows, columns = np.mgrid[:40, :50]
    for name in ("5003", "5004", "5005"):
        image = np.dstack([rows, columns, rows]).astype(np.uint8)
        Image.fromarray(image).save(str(nyud_dir / f"data/images/img_{name}.png"))
        Image.fromarray(image).save(str(nyud_dir / f"data/hha/img_{name}.png"))
        depth = (1000 + 50 * rows + columns).astype(np.uint16)
        Image.fromarray(depth).save(str(nyud_dir / f"data/depth/img_{name}.png"))
        scipy.io.savemat(
            str(nyud_dir / f"segmentation/img_{name}.mat"),
            {"segmentation": (rows // 2 + 1).astype(np.uint8)},
        )
    net = net_of(
        data_net, nyud_dir, ALL, "trainval", crop=(24, 60), mirror=True, batch_size=4, light=0.0
    )
    for _ in range(5):
        net.forward()
        blobs = {top: net.blobs[top].data.copy() for top in ALL}
        inside = blobs["label"][:, 0] != 255
        assert inside.any() and not inside.all()  # 60 columns of 50
        y, x = (
            np.rint(blobs["hha"][:, i] + mean)[inside] for i, mean in enumerate((132.431, 94.076))
        )
        np.testing.assert_array_equal(np.rint(blobs["color"][:, 2] + 92.318)[inside], y)
        np.testing.assert_array_equal(np.rint(blobs["color"][:, 1] + 97.203)[inside], x)
        np.testing.assert_array_equal(blobs["label"][:, 0][inside], y // 2)
        np.testing.assert_allclose(
            np.exp(blobs["depth"][:, 0][inside] + 7.844), 1000 + 50 * y + x, rtol=1e-5
        )
        for top in ("color", "hha", "depth"):
            assert (blobs[top].transpose(1, 0, 2, 3)[:, ~inside] == 0).all()


def test_a_depth_of_zero_names_file_and_pixel(nyud_dir, data_net):
    path = nyud_dir / "data/depth/img_5001.png"
    with Image.open(str(path)) as image:
        depth = np.array(image).astype(np.uint16)
    depth[7, 9] = depth[30, 2] = 0
    Image.fromarray(depth).save(str(path))
    with pytest.raises(
        DataError,
        match=r"img_5001.png' holds 0 at x=9, y=7 \(2 pixels\), which "
        "has no logarithm; .* set 'nearest'",
    ):
        net_of(data_net, nyud_dir, ("depth", "label"))
    net = net_of(data_net, nyud_dir, ("depth", "label"), nearest=500)
    net.forward()
    want = np.log(np.maximum(depth, 500).astype(np.float32))
    want -= 7.844
    np.testing.assert_array_equal(net.blobs["depth"].data[0, 0], want)
    assert net.blobs["depth"].data[0, 0, 7, 9] == np.float32(np.log(np.float32(500))) - np.float32(
        7.844
    )


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"tops": ["color", "normals"]},
            "unknown name 'normals' in 'tops'; expected some of color, ",
        ),
        ({"tops": []}, "expected for 'tops' a list of different names"),
        ({"tops": ["color", "color"]}, r"received \['color', 'color'\]"),
        ({"tops": "color"}, "expected for 'tops' a list"),
        (
            {"tops": ["color", "hha"], "split": "trainval", "crop": (8, 8), "balance": 0.5},
            "'balance' needs the top 'label'",
        ),
        ({"mean": (1, 2, 3)}, "unknown key 'mean'"),
        ({"split": "nowhere"}, "nowhere.txt.*data/nyud.py"),
    ],
)
def test_what_param_str_cannot_be(params, message, nyud_dir, data_net):
    with pytest.raises(DataError, match=message):
        net_of(data_net, nyud_dir, blobs=("color", "label"), **params)


def test_as_many_tops_as_told(nyud_dir, data_net):
    with pytest.raises(DataError, match="expected 3 tops, image and depth and label; received 2"):
        net_of(data_net, nyud_dir, ("color", "depth", "label"), blobs=("a", "b"))


@pytest.mark.parametrize(
    "kind, pixels, message",
    [
        ("depth", np.ones((40, 52), np.uint8), "depth '.*' is a L image; expected 16-bit"),
        ("hha", np.ones((40, 52), np.uint8), "HHA '.*' is a L image; expected three channels"),
        ("hha", np.ones((40, 51, 3), np.uint8), "HHA and label differ in size .* 51x40.* 52x40"),
    ],
)
def test_images_of_another_kind(kind, pixels, message, nyud_dir, data_net):
    Image.fromarray(pixels).save(str(nyud_dir / f"data/{kind}/img_5001.png"))
    with pytest.raises(DataError, match=message):
        net_of(data_net, nyud_dir, (kind, "label"))


def test_a_label_out_of_range(nyud_dir, data_net):
    label = np.ones((43, 47), np.uint8)
    label[2, 3] = 41
    scipy.io.savemat(str(nyud_dir / "segmentation/img_5001.mat"), {"segmentation": label})
    with pytest.raises(DataError, match="img_5001.mat' holds 41 at x=3, y=2 .*expected 1 to 40"):
        net_of(data_net, nyud_dir)


def test_a_missing_file_is_named(nyud_dir, data_net):
    (nyud_dir / "data/hha/img_5002.png").unlink()
    net = net_of(data_net, nyud_dir, ("hha", "label"))
    with pytest.raises(DataError, match="missing HHA: no file '.*hha/img_5002.png'"):
        net.forward()
        net.forward()
