"""The VOC and SBD layers in a net: what they serve, in which order, and what they refuse."""

import os
import random
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

import bootstrap
from segdata import DataError

MEAN = (104.00699, 116.66877, 122.67892)
FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))


def params(voc_dir, split="train", **more):
    return dict({"voc_dir": str(voc_dir), "seed": 1337, "split": split, "mean": MEAN}, **more)


def served(net):
    net.forward()
    return net.blobs["data"].data.copy(), net.blobs["label"].data.copy()


def reference(voc_dir, name):
    """The published layer's arithmetic: float32 image, in-place minus the float64 mean."""
    with Image.open(voc_dir / "JPEGImages" / (name + ".jpg")) as image:
        pixels = np.array(image, dtype=np.float32)
    pixels = pixels[:, :, ::-1]
    pixels -= np.array(MEAN)
    with Image.open(voc_dir / "SegmentationClass" / (name + ".png")) as image:
        label = np.array(image, dtype=np.uint8)
    return pixels.transpose(2, 0, 1)[None], label[None, None]


def test_serves_whole_images_minus_the_mean_in_list_order(voc_dir, data_net):
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))
    for i in [0, 1, 2, 3, 4, 0, 1]:  # sequential, then over again
        data, label = served(net)
        want_data, want_label = reference(voc_dir, f"2007_{i:06d}")
        np.testing.assert_array_equal(data, want_data)
        np.testing.assert_array_equal(label, want_label)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_random_order_is_the_published_one(workers, voc_dir, data_net):
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, workers=workers))
    rng = random.Random(1337)
    state = random.getstate()
    for _ in range(12):
        data, _ = served(net)
        want, _ = reference(voc_dir, f"2007_{int(rng.random() * 5):06d}")
        np.testing.assert_array_equal(data, want)
    assert random.getstate() == state  # the user's own generator is left alone


def test_randomize_false_is_sequential(voc_dir, data_net):
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, randomize=False))
    for i in range(3):
        np.testing.assert_array_equal(served(net)[0], reference(voc_dir, f"2007_{i:06d}")[0])


def test_without_a_seed_two_layers_differ(voc_dir, data_net):
    nets = [data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, seed=None)) for _ in range(2)]
    orders = [[served(net)[0].shape for _ in range(20)] for net in nets]
    assert orders[0] != orders[1]


def test_reshape_alone_moves_nothing_on(voc_dir, data_net):
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))
    for _ in range(4):
        net.reshape()
    assert net.layers[0].position == 0
    np.testing.assert_array_equal(served(net)[0], reference(voc_dir, "2007_000000")[0])
    net.reshape()
    assert net.layers[0].position == 1
    np.testing.assert_array_equal(served(net)[0], reference(voc_dir, "2007_000001")[0])


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"batch_size": 2, "crop": (16, 24), "mirror": True, "scale": (0.5, 1.5)},
    ],
)
def test_seek_goes_on_exactly(more, voc_dir, data_net):
    first = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, **more))
    history = [served(first) for _ in range(9)]
    second = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, **more))
    for position in (5, 0, 7):
        second.layers[0].seek(position)
        assert second.layers[0].position == position
        for data, label in history[position:]:
            again = served(second)
            np.testing.assert_array_equal(again[0], data)
            np.testing.assert_array_equal(again[1], label)
        assert second.layers[0].position == 9


@pytest.mark.slow
def test_cache_and_workers_change_nothing(voc_dir, data_net):
    more = {"batch_size": 2, "crop": (16, 24), "mirror": True, "scale": (0.5, 1.5)}
    plain = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, **more))
    other = data_net(
        "voc_layers", "VOCSegDataLayer", params(voc_dir, cache=True, workers=3, **more)
    )
    for _ in range(10):
        for a, b in zip(served(plain), served(other)):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_balance_reaches_the_crops(voc_dir, data_net):
    """One pixel of class 5 in images of class 1: with balance, about half the crops hold it."""
    for i in range(5):
        label = np.ones((20 + i, 30 + 2 * i), np.uint8)
        label[3, 25] = 5
        Image.fromarray(label).save(voc_dir / "SegmentationClass" / f"2007_{i:06d}.png")

    def share(balance):
        net = data_net(
            "voc_layers",
            "VOCSegDataLayer",
            params(voc_dir, crop=(4, 4), batch_size=100, balance=balance),
        )
        net.forward()
        return (net.blobs["label"].data == 5).any(axis=(1, 2, 3)).mean()

    assert share(0.0) < 0.15
    assert 0.35 < share(1.0) < 0.65


def test_batch_of_different_sizes_is_refused(voc_dir, data_net):
    with pytest.raises(DataError, match=r"one size .*30x20.*32x21.*'crop'"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val", batch_size=2))


def test_sbd_reads_mat_files(voc_dir, data_net):
    (voc_dir / "img").mkdir()
    (voc_dir / "cls").mkdir()
    rng = np.random.RandomState(3)
    label = rng.randint(0, 21, (10, 14)).astype(np.uint8)
    Image.fromarray(np.zeros((10, 14, 3), np.uint8)).save(voc_dir / "img" / "a.jpg")
    struct = np.zeros((1, 1), dtype=[("Segmentation", object)])
    struct["Segmentation"][0, 0] = label
    scipy.io.savemat(str(voc_dir / "cls" / "a.mat"), {"GTcls": struct})
    (voc_dir / "train.txt").write_text("a\n")
    sbd = {"sbdd_dir": str(voc_dir), "seed": 1, "split": "train", "mean": MEAN}
    net = data_net("voc_layers", "SBDDSegDataLayer", sbd)
    np.testing.assert_array_equal(served(net)[1], label[None, None])

    (voc_dir / "cls" / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file, but cut")
    with pytest.raises(DataError, match="GTcls.*a.mat"):
        served(data_net("voc_layers", "SBDDSegDataLayer", sbd))


# Bad input


def test_missing_image(voc_dir, data_net):
    (voc_dir / "JPEGImages" / "2007_000001.jpg").unlink()
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))
    net.forward()
    for _ in range(2):  # it stays an error: nothing is skipped
        with pytest.raises(DataError, match="missing image: .*2007_000001.jpg"):
            net.forward()
    assert net.layers[0].position == 1


def test_truncated_image(voc_dir, data_net):
    path = voc_dir / "JPEGImages" / "2007_000000.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot read the image .*2007_000000.jpg"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))


def test_label_out_of_range_names_file_value_and_pixel(voc_dir, data_net):
    path = voc_dir / "SegmentationClass" / "2007_000000.png"
    label = np.zeros((20, 30), np.uint8)
    label[7, 11] = 21
    Image.fromarray(label).save(path)
    message = r"2007_000000.png' holds 21 at x=11, y=7 .*0 to 20, or 255"
    with pytest.raises(DataError, match=message):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))


def test_classes_narrow_the_range(voc_dir, data_net):
    with pytest.raises(DataError, match="expected 0 to 4, or 255"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val", classes=5))


def test_label_of_another_size(voc_dir, data_net):
    Image.fromarray(np.zeros((20, 31), np.uint8)).save(
        voc_dir / "SegmentationClass" / "2007_000000.png"
    )
    with pytest.raises(DataError, match=r"differ in size .*000000.jpg' is 30x20.*png' is 31x20"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))


def test_label_in_colours(voc_dir, data_net):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(
        voc_dir / "SegmentationClass" / "2007_000000.png"
    )
    with pytest.raises(DataError, match="is a RGB image; expected class numbers"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(split="nonsense"), "nonsense.txt' .*data/voc.py"),
        (dict(voc_dr="x"), "unknown key 'voc_dr' in param_str, did you mean 'voc_dir'"),
        (dict(mean=(1, 2)), r"expected 3 numbers for 'mean' .*received \(1, 2\)"),
        (dict(batch_size=0), "a whole number from 1 to .* for .batch_size"),
        (dict(scale=(2, 1)), "expected scale as"),
        (dict(crop=(0, 5)), "expected crop as"),
        (dict(balance=0.5), "balance 0.5 and crop None"),
        (dict(balance=2, crop=(4, 4)), "expected balance as a share from 0 to 1"),
        (dict(split="val", mirror=True), "for training"),
    ],
)
def test_bad_params(change, message, voc_dir, data_net):
    with pytest.raises(DataError, match=message):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, **change))


def test_params_that_are_no_dict_run_no_code(voc_dir, data_net, tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(DataError, match="not a Python dict literal"):
        data_net("voc_layers", "VOCSegDataLayer", f"open('{trap}', 'w').close()")
    assert not trap.exists()
    with pytest.raises(DataError, match="expected a dict in param_str, received list"):
        data_net("voc_layers", "VOCSegDataLayer", "[1, 2]")
    with pytest.raises(DataError, match="param_str lacks voc_dir, split, mean"):
        data_net("voc_layers", "VOCSegDataLayer", "{}")


def test_empty_split(voc_dir, data_net):
    (voc_dir / "ImageSets" / "Segmentation" / "val.txt").write_text("\n\n")
    with pytest.raises(DataError, match="split 'val' is empty"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir, "val"))


def test_wrong_number_of_tops(voc_dir, data_net):
    with pytest.raises(DataError, match="expected 2 tops, image and label; received 1"):
        data_net("voc_layers", "VOCSegDataLayer", params(voc_dir), tops=("data",))


def test_negative_seek(voc_dir, data_net):
    net = data_net("voc_layers", "VOCSegDataLayer", params(voc_dir))
    with pytest.raises(DataError, match="cannot seek to batch -1"):
        net.layers[0].seek(-1)


@pytest.mark.data
def test_a_real_voc_image(tmp_path, data_net):
    """The pixels of each class in 2007_000129, as counted in the published label map."""
    sample = os.path.join(FCN_DATA, "voc-sample")
    if not os.path.isdir(sample):
        pytest.skip(f"no VOC image in '{sample}'; FCN_DATA says where the data is")
    for folder, extension in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (tmp_path / folder).mkdir()
        shutil.copy(os.path.join(sample, "2007_000129" + extension), tmp_path / folder)
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000129\n")
    net = data_net("voc_layers", "VOCSegDataLayer", params(tmp_path, "val"))
    data, label = served(net)
    assert data.shape == (1, 3, 500, 334) and label.shape == (1, 1, 500, 334)
    classes, counts = np.unique(label, return_counts=True)
    assert dict(zip(classes, counts)) == {0: 54389, 2: 34183, 15: 61143, 255: 17285}
    # The mean of the JPEG in R, G, B; decoders differ by less than a hundredth.
    mean = data[0].mean(axis=(1, 2))[::-1] + np.array(MEAN[::-1])
    np.testing.assert_allclose(mean, (160.97, 143.94, 129.63), atol=0.02)
