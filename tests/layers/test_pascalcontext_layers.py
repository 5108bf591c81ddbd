"""The PASCAL-Context layer: names to classes, what is served, what is refused."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data.pascalcontext import CLASSES
from segdata import DataError
from segdata.pascalcontext import class_map

SPELT = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
#: A long list in alphabetical order, as the true one is, with spaces in some names.
NAMES = sorted(
    [SPELT.get(name, name) for name in CLASSES[1:]]
    + ["air conditioner", "clothes tree", "table ware", "unknown"]
)


@pytest.fixture
def folders(tmp_path):
    """VOC2010 with two images and PASCAL-Context's files beside it, raw values of all kinds."""
    voc, context = tmp_path / "pascal" / "VOC2010", tmp_path / "pascal-context"
    for folder in (voc / "JPEGImages", voc / "ImageSets" / "Main", context / "trainval"):
        folder.mkdir(parents=True)
    rng = np.random.RandomState(0)
    for name in ("2008_000002", "2008_000003"):
        Image.fromarray(rng.randint(0, 256, (12, 16, 3)).astype(np.uint8)).save(
            voc / "JPEGImages" / (name + ".jpg")
        )
        scipy.io.savemat(
            str(context / "trainval" / (name + ".mat")),
            {"LabelMap": rng.randint(0, len(NAMES) + 1, (12, 16)).astype(np.uint16)},
            do_compression=True,
        )
    for split in ("train", "val"):
        (voc / "ImageSets" / "Main" / (split + ".txt")).write_text("2008_000002\n2008_000003\n")
    (context / "labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(NAMES, 1))
    )
    (context / "59_labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(CLASSES) if i)
    )
    return tmp_path


def params(folders, split="val", **more):
    return dict(
        {
            "context_dir": str(folders / "pascal-context"),
            "seed": 1337,
            "split": split,
            "voc_dir": str(folders / "pascal"),
        },
        **more,
    )


def net_of(data_net, *args, **more):
    return data_net("pascalcontext_layers", "PASCALContextSegDataLayer", params(*args, **more))


def test_labels_are_mapped_by_name_and_background_is_a_class(folders, data_net):
    net = net_of(data_net, folders)
    for name in ("2008_000002", "2008_000003"):
        net.forward()
        raw = scipy.io.loadmat(str(folders / "pascal-context/trainval" / (name + ".mat")))
        want = np.zeros((12, 16))
        for y, x in np.ndindex(12, 16):
            number = raw["LabelMap"][y, x]
            if number:
                back = {long: short for short, long in SPELT.items()}
                raw_name = NAMES[number - 1]
                raw_name = back.get(raw_name, raw_name)
                want[y, x] = CLASSES.index(raw_name) if raw_name in CLASSES else 0
        assert (want == 0).any() and (want > 40).any()
        np.testing.assert_array_equal(net.blobs["label"].data[0, 0], want)


def test_the_mean_is_fixed_in_float32(folders, data_net):
    net = net_of(data_net, folders)
    net.forward()
    with Image.open(folders / "pascal/VOC2010/JPEGImages/2008_000002.jpg") as image:
        want = np.array(image, np.float32)[:, :, ::-1]
    want = want - np.array((104.007, 116.669, 122.679), np.float32)
    np.testing.assert_array_equal(net.blobs["data"].data[0], want.transpose(2, 0, 1))
    with pytest.raises(DataError, match="unknown key 'mean'"):
        net_of(data_net, folders, mean=(1, 2, 3))


def test_random_in_train_only(folders, data_net):
    net = net_of(data_net, folders, split="train")
    assert net.layers[0].random
    assert not net_of(data_net, folders).layers[0].random


def test_names_are_found_whole(folders):
    """ "table" is not "table ware", and "clothes", spelt "cloth", is not "clothes tree"."""
    classes = class_map(str(folders / "pascal-context"))
    assert classes.dtype == np.uint8 and len(classes) == len(NAMES) + 1
    assert classes[1 + NAMES.index("table")] == CLASSES.index("diningtable")
    assert classes[1 + NAMES.index("clothes tree")] == 0
    assert sorted(classes[classes > 0]) == list(range(1, 60))


def test_a_background_line_is_no_raw_class(folders):
    path = folders / "pascal-context" / "59_labels.txt"
    before = class_map(str(folders / "pascal-context"))
    path.write_text("0: background\n" + path.read_text())
    np.testing.assert_array_equal(class_map(str(folders / "pascal-context")), before)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("labels.txt", None, "cannot read the list of names .*labels.txt.*data/pascalcontext.py"),
        ("labels.txt", "1: a\n3: b\n", "expected '2: name' .*received '3: b'"),
        ("59_labels.txt", "1: aeroplan\n", "has no 'aeroplan', .* is 'aeroplane' meant"),
    ],
)
def test_bad_lists(name, text, message, folders, data_net):
    path = folders / "pascal-context" / name
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message):
        net_of(data_net, folders)


def test_a_raw_value_beyond_the_list_is_named(folders, data_net):
    label = np.ones((12, 16), np.uint16)
    label[5, 9] = 460
    scipy.io.savemat(str(folders / "pascal-context/trainval/2008_000002.mat"), {"LabelMap": label})
    with pytest.raises(DataError, match=r"2008_000002.mat' holds 460 at x=9, y=5; .* 0 to 63"):
        net_of(data_net, folders)


def test_a_mat_file_of_another_kind(folders, data_net):
    scipy.io.savemat(str(folders / "pascal-context/trainval/2008_000002.mat"), {"other": 1})
    with pytest.raises(DataError, match="cannot read LabelMap in the label .*2008_000002.mat"):
        net_of(data_net, folders)


def test_missing_split(folders, data_net):
    with pytest.raises(DataError, match="Main/test.txt.*data/pascalcontext.py"):
        net_of(data_net, folders, split="test")
