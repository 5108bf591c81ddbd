"""Published nets that are no experiments: run at their own size, each failure one clear error."""

import os

import numpy as np
import pytest
from fcn_helpers import raised
from PIL import Image

import bootstrap
import caffe
import infer
from fcn.geometry.ops import InferenceError
from fcn.inference.published import PublishedModel, one_file, read_classes

#: Scores of three classes, at half the size: how much blue, green, red there is.
NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 8 dim: 12 } } }
layer { name: "mix" type: "Convolution" bottom: "data" top: "mix"
        convolution_param { num_output: 3 kernel_size: 1 stride: 2 } }
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "enet"
    path.mkdir()
    (path / "deploy.prototxt").write_text(NET)
    net = caffe.Net(str(path / "deploy.prototxt"), caffe.TEST)
    net.params["mix"][0].data[...] = np.eye(3)[:, :, None, None]
    net.params["mix"][1].data[...] = (0, 0, 30)  # in doubt red
    net.save(str(path / "m.caffemodel"))
    (tmp_path / "classes.txt").write_text("blue\ngreen\t9 8 7\nred\n\n")
    return path


def label(tmp_path, folder, colour, *arguments):
    Image.new("RGB", (30, 25), colour).save(str(tmp_path / "p.png"))
    given = [str(tmp_path / "p.png"), "--net", str(folder), "--out", str(tmp_path), "--cpu"]
    return infer.main([*given, "--classes", str(tmp_path / "classes.txt"), *arguments])


def test_a_photo_of_any_size_gets_labels_of_its_size(folder, tmp_path, capsys):
    for number, colour in enumerate([(0, 0, 99), (0, 99, 0), (99, 0, 0)]):
        assert label(tmp_path, folder, colour) == 0
        with Image.open(str(tmp_path / "p_label.png")) as image:
            assert image.size == (30, 25) and image.getpalette()[3:6] == [9, 8, 7]
            assert (np.array(image) == number).all()
    printed = capsys.readouterr().out
    assert printed.startswith("enet knows 3 classes: blue, green, red\n")
    assert "30x25, labelled at 12x8" in printed


def test_the_mean_is_subtracted(folder, tmp_path):
    assert label(tmp_path, folder, (60, 70, 60), "--mean", "0,69,0") == 0
    with Image.open(str(tmp_path / "p_label.png")) as image:
        assert (np.array(image) == 2).all()  # 60, 1 and 60 + 30


def test_what_does_not_fit_is_said(folder, tmp_path, capsys):
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    assert label(tmp_path, folder, (0, 0, 0)) == 1
    assert "'mix' (1, 3, 4, 6); expected scores of the 2 classes" in capsys.readouterr().err
    (tmp_path / "classes.txt").write_text("one\ntwo\t1 2\n")
    assert label(tmp_path, folder, (0, 0, 0)) == 1
    assert "line 2: expected a name" in capsys.readouterr().err
    (folder / "m.caffemodel").unlink()
    assert label(tmp_path, folder, (0, 0, 0)) == 1
    assert "expected one *.caffemodel" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["1,2", "a,b,c", "1,2,nan"])
def test_a_mean_has_three_numbers(given, folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        label(tmp_path, folder, (0, 0, 0), "--mean", given)
    assert "expected three numbers, B,G,R" in capsys.readouterr().err


def test_a_mean_without_classes_is_refused(folder, capsys):
    with pytest.raises(SystemExit):
        infer.main(["p.png", "--net", str(folder), "--mean", "1,2,3"])
    assert "--classes" in capsys.readouterr().err


def test_one_of_several_files(tmp_path):
    for name in ("a.prototxt", "b.prototxt"):
        (tmp_path / name).write_text("")
    text = raised(LookupError, one_file, str(tmp_path), "*.prototxt", "deploy.prototxt")
    assert "a.prototxt, b.prototxt" in text and "'deploy.prototxt' or one *.prototxt" in text
    (tmp_path / "deploy.prototxt").write_text("")
    assert one_file(str(tmp_path), "*.prototxt", "deploy.prototxt").endswith("deploy.prototxt")


@pytest.mark.parametrize(
    "text, message",
    [("", "found 0"), ("a\nb\t1 2 256\n", "line 2"), ("a\n\nb\n", "line 2"), ("\t1 2 3", "line 1")],
)
def test_files_of_classes(text, message, tmp_path):
    (tmp_path / "c.txt").write_text(text)
    assert message in raised(ValueError, read_classes, str(tmp_path / "c.txt"))


def test_a_net_of_two_outputs_is_refused(folder):
    text = NET + 'layer { name: "more" type: "Power" bottom: "data" top: "more" }'
    (folder / "deploy.prototxt").write_text(text)
    paths = [str(folder / name) for name in ("deploy.prototxt", "m.caffemodel")]
    message = raised(InferenceError, PublishedModel, *paths, (0, 0, 0), 3)
    assert "expected one of each" in message


def test_cityscapes_has_its_19_classes():

    path = os.path.join(bootstrap.ROOT, "examples", "cityscapes.txt")
    names, palette = read_classes(path)
    assert len(names) == 19 and names[0] == "road" and names[-1] == "bicycle"
    assert palette[13].tolist() == [0, 0, 142]
