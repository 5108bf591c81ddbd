"""infer.py: any image in, two pictures and the shares out; each failure one clear error."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from labelling_helpers import NET, expected, read_label, run
from PIL import Image

import bootstrap
import caffe
import infer
from data import toy
from fcn.inference import model
from nets import make

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_from_the_root")]


def test_writes_label_map_and_overlay_and_prints_shares(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    out = tmp_path / "new" / "folder"
    assert run(weights, out, tmp_path / "a.png") == 0
    label = read_label(out / "a_label.png")
    want = expected(weights, photo)
    assert len(np.unique(want)) > 1
    np.testing.assert_array_equal(label, want)
    with Image.open(out / "a_overlay.jpg") as picture:
        assert picture.width == photo.shape[1] and picture.height > photo.shape[0]
    printed = capsys.readouterr().out
    for number in np.unique(want):
        line = f"{np.mean(want == number):6.1%}  {toy.CLASSES[number]}"
        assert line in printed


def test_a_net_without_weights_says_which_file_goes_where(tmp_path, photo, capsys):
    Image.fromarray(photo).save(tmp_path / "g.png")
    assert (
        infer.main(["--net", "voc-fcn-alexnet", "--out", str(tmp_path), str(tmp_path / "g.png")])
        == 1
    )
    error = capsys.readouterr().err
    assert "nets/voc-fcn-alexnet/fcn-alexnet-pascal.caffemodel" in error
    assert "python nets/voc-fcn-alexnet/solve.py" in error
    assert not list(tmp_path.glob("*_label.png"))


@pytest.mark.parametrize(
    "name, blobs",
    [
        ("nyud-fcn32s-hha", "hha"),
        ("nyud-fcn32s-color-d", "color and depth"),
        ("nyud-fcn32s-color-hha", "color and hha"),
    ],
)
def test_nets_that_need_more_than_a_photo_say_so_before_weights_are_fetched(
    name, blobs, tmp_path, capsys
):
    assert infer.main(["--net", name, "--out", str(tmp_path), "photo.jpg"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {name} reads {blobs}: a photo alone")


def test_a_net_that_is_not_there_is_one_line(tmp_path, capsys):
    assert infer.main(["--net", str(tmp_path), "photo.jpg"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: no experiment ") and message.count("\n") == 1


def test_a_net_of_ones_own(tmp_path, photo, capsys):
    folder = str(tmp_path / "mine-of-two")
    assert make.main(["--backbone", "toy", "--classes", "2", "--stride", "8", "--out", folder]) == 0
    net = caffe.Net(os.path.join(folder, "deploy.prototxt"), caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0.01
    net.save(str(tmp_path / "mine.caffemodel"))
    Image.fromarray(photo).save(str(tmp_path / "photo.png"))
    assert (
        infer.main(
            [
                "--net",
                folder,
                "--weights",
                str(tmp_path / "mine.caffemodel"),
                "--out",
                str(tmp_path),
                str(tmp_path / "photo.png"),
            ]
        )
        == 0
    )
    assert "class 0" in capsys.readouterr().out
    assert read_label(str(tmp_path / "photo_label.png")).shape == photo.shape[:2]


def test_usage_errors_exit_with_2(tmp_path, capsys):
    for arguments, words in (
        (["--memory", "0", "a.png"], "above 0"),
        ([], "required"),
        (["--size", "0", "a.png"], "'native' or the longer side"),
        (["--opacity", "2", "a.png"], "0 to 1"),
        (["--gpu", "0", "--cpu", "a.png"], "not allowed with"),
        ([str(tmp_path)], "no images or videos in the folder"),
        ([str(tmp_path / "*.jpg")], "no file matches"),
    ):
        with pytest.raises(SystemExit) as stop:
            infer.main(arguments)
        assert stop.value.code == 2
        assert words in capsys.readouterr().err


def test_folders_are_mirrored_and_earlier_results_left_out(weights, photo, tmp_path, capsys):
    for name in ("a.png", "deep/a.png", "deep/a.bmp", "deep/.hidden.png", "deep/notes.txt"):
        os.makedirs(os.path.dirname(str(tmp_path / "in" / name)), exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "in" / name, "PNG")
    for out in (tmp_path / "out", tmp_path / "in", tmp_path / "in"):
        assert run(weights, out, tmp_path / "in") == 0
        made = sorted(os.path.relpath(p, out) for p in map(str, out.rglob("*_label.png")))
        assert made == ["a_label.png", "deep/a.bmp_label.png", "deep/a.png_label.png"]
    assert "6 earlier results" in capsys.readouterr().out


def test_a_result_never_replaces_an_image_that_is_yet_to_be_read(weights, photo, tmp_path, capsys):
    for name in ("x.png", "x_label.png"):
        Image.fromarray(photo).save(tmp_path / name)
    before = (tmp_path / "x_label.png").read_bytes()
    with pytest.raises(SystemExit) as stop:
        run(weights, tmp_path, tmp_path / "x.png", tmp_path / "x_label.png")
    assert stop.value.code == 2 and "would replace" in capsys.readouterr().err
    assert (tmp_path / "x_label.png").read_bytes() == before
    assert run(weights, tmp_path / "o", tmp_path / "x.png", tmp_path / "x_label.png") == 0


def test_out_is_looked_at_before_the_work(weights, photo, tmp_path, capsys, monkeypatch):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(model.Model, "from_catalog", None)  # what comes later would fail
    assert run(weights, tmp_path / "file" / "deep", tmp_path / "a.png") == 1
    assert "deep': there is a file of that name; expected a folder" in capsys.readouterr().err
    # Root may write everywhere, so the question itself is answered here.
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("locked"))
    for option in (["--out", "locked"], ["--contact-sheet", "locked/sheet.jpg"]):
        places = str(tmp_path / option[1])
        assert run(weights, tmp_path, tmp_path / "a.png", option[0], places) == 1
        assert "locked': that folder cannot be written into" in capsys.readouterr().err


def test_a_similar_name_is_offered(tmp_path, capsys):
    assert infer.main(["--net", "camvid-fcn8", "photo.jpg"]) == 1
    assert "is camvid-fcn8s or" in capsys.readouterr().err


def test_results_go_where_the_user_is_by_default():
    options = infer.parse(["a.png"])
    assert options.out == bootstrap.START
    assert options.jobs == [
        (os.path.join(bootstrap.START, "a.png"), os.path.join(bootstrap.START, "a"))
    ]


def test_a_name_that_is_no_utf8(weights, photo, tmp_path):
    """Through a pipe, where Python writes strictly: labelled, its bytes told as numbers."""
    os.makedirs(str(tmp_path / "in"))
    with open(os.path.join(os.fsencode(str(tmp_path / "in")), b"a\xff.png"), "wb") as file:
        Image.fromarray(photo).save(file, "PNG")
    command = [sys.executable, os.path.join(bootstrap.ROOT, "infer.py"), str(tmp_path / "in")]
    command += ["--net", NET, "--weights", weights, "--out", str(tmp_path / "out"), "--cpu"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and r"a\udcff.png: 173x131" in done.stdout, done.stdout
    assert os.listdir(os.fsencode(str(tmp_path / "out")))


def stdin_of(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input(weights, photo, tmp_path, capsys, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")
    stdin_of(monkeypatch, content.getvalue())
    assert run(weights, tmp_path, "-", "--name", "mine", "--json") == 0
    np.testing.assert_array_equal(read_label(tmp_path / "mine_label.png"), expected(weights, photo))
    value = json.loads(capsys.readouterr().out)
    assert value["file"] == "-" and value["width"] == photo.shape[1]
    for content, words in ((b"", "standard input is empty"), (b"no image", "'standard input'")):
        stdin_of(monkeypatch, content)
        assert run(weights, tmp_path, "-") == 1
        assert words in capsys.readouterr().err


def test_the_first_line_says_what_the_model_knows(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert run(weights, tmp_path, tmp_path / "a.png") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"{NET} knows {len(toy.CLASSES)} classes: {', '.join(toy.CLASSES)}"
