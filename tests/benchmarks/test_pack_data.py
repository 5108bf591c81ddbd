"""pack_data.py: what the data layers read from the packed folders is what was there."""

import os

import data_samples
import numpy as np
import pytest
from fcn_helpers import net_of
from PIL import Image

from benchmarks import pack_data
from caffe.proto import caffe_pb2
from segdata.splits import read_lines


@pytest.fixture
def packed(tmp_path):
    """(voc, camvid, out): both originals and what was made of them, two images of each val."""
    voc = data_samples.voc(tmp_path / "voc", val=tuple(f"2007_{i:06d}" for i in range(7)))
    camvid = data_samples.camvid(tmp_path / "camvid")
    out = tmp_path / "out"
    arguments = ["--voc", voc, "--camvid", camvid, "--out", str(out), "--voc-val", "3"]
    weights = str(tmp_path / "trunk.caffemodel")
    _weights(weights)
    pack_data.main([*arguments, "--weights", weights, "--camvid-val", "1"])
    return voc, camvid, str(out)


def _weights(path):
    net = caffe_pb2.NetParameter(name="trunk")
    for name in ("stem", "fc"):
        net.layer.add(name=name, type="Convolution").blobs.add(data=[1, 2, 3])
    with open(path, "wb") as f:
        f.write(net.SerializeToString())


def test_photographs_are_close_and_masks_the_same(packed):
    voc, camvid, out = packed
    for original, folder, photos, labels in (
        (voc, "voc", "JPEGImages", "SegmentationClass"),
        (camvid, "camvid", "train", "trainannot"),
    ):
        names = sorted(os.listdir(os.path.join(out, folder, labels)))
        assert len(names) == (5 if folder == "voc" else 3)
        for name in names:
            with Image.open(os.path.join(out, folder, labels, name)) as image:
                with Image.open(os.path.join(original, labels, name)) as expected:
                    np.testing.assert_array_equal(np.array(image), np.array(expected))
            stem = os.path.splitext(name)[0]
            ending = ".jpg" if folder == "voc" else ".png"
            with Image.open(os.path.join(out, folder, photos, stem + ".jpg")) as image:
                assert image.format == "WEBP"
                with Image.open(os.path.join(original, photos, stem + ending)) as expected:
                    difference = np.array(image.convert("RGB"), float) - np.array(expected)
            assert np.abs(difference).mean() < 15


def test_all_of_train_and_an_even_sample_of_val(packed):
    voc, camvid, out = packed
    lists = os.path.join("voc", "ImageSets", "Segmentation")
    assert len(read_lines(os.path.join(out, lists, "train.txt"))) == 2
    assert read_lines(os.path.join(out, lists, "val.txt")) == [
        "2007_000000",
        "2007_000002",
        "2007_000004",
    ]
    assert len(read_lines(os.path.join(out, "camvid", "train.txt"))) == 3
    assert len(read_lines(os.path.join(out, "camvid", "val.txt"))) == 1


@pytest.mark.parametrize("name", ["voc", "camvid"])
def test_the_data_layers_read_it(packed, name, tmp_path):
    layer, key = {
        "voc": ("VOCSegDataLayer", "voc_dir"),
        "camvid": ("CamVidSegDataLayer", "camvid_dir"),
    }[name]
    params = {key: os.path.join(packed[2], name), "split": "val", "mean": (0, 0, 0)}
    net = net_of(
        tmp_path,
        'layer { name: "data" type: "Python" top: "data" top: "label" python_param { '
        f'module: "{name}_layers" layer: "{layer}" param_str: "{params}" }} }}',
    )
    net.forward()
    assert net.blobs["data"].data.shape[2:] == net.blobs["label"].data.shape[2:]
    assert net.blobs["data"].data.max() > 100


def test_the_classifiers_last_layer_is_left_out(packed):
    path = os.path.join(packed[2], "trunk.caffemodel")
    net = caffe_pb2.NetParameter()
    with open(path, "rb") as f:
        net.ParseFromString(f.read())
    assert [(layer.name, list(layer.blobs[0].data)) for layer in net.layer] == [
        ("stem", [1.0, 2.0, 3.0])
    ]


def test_a_photograph_larger_than_its_net_is_refused(tmp_path):
    Image.new("RGB", (501, 20)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png.*501.*500 pixels"):
        pack_data.photograph(str(tmp_path / "a.png"), str(tmp_path / "b.jpg"), 80)
