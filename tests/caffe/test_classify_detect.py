"""The tools classify and detect: files in, files out, the numbers of the classes they run."""

import csv

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.tools import classify, detect

NET = """
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 3 dim: 3 dim: 8 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    path = str(tmp_path / "net.prototxt")
    caffe.Net(path, caffe.TEST).save(str(tmp_path / "net.caffemodel"))
    return path, str(tmp_path / "net.caffemodel")


@pytest.fixture
def arguments(model):
    return ["--model_def", model[0], "--pretrained_model", model[1]]


@pytest.fixture
def photos(tmp_path):
    rng = np.random.RandomState(0)
    (tmp_path / "photos").mkdir()
    paths = [str(tmp_path / "photos" / f"{name}.png") for name in "ab"]
    for path in paths:
        Image.fromarray(rng.randint(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
    return paths


def test_classify(model, arguments, photos, tmp_path, capsys):
    out = str(tmp_path / "out.npy")
    mean = np.array([104.0, 117.0, 123.0])
    np.save(str(tmp_path / "mean.npy"), mean)
    options = [*arguments, "--mean_file", str(tmp_path / "mean.npy"), "--images_dim", "12,10"]
    assert classify.main([str(tmp_path / "photos"), out, "--ext", "png", *options]) == 0
    printed = capsys.readouterr().out
    assert "CPU mode" in printed and "Classifying 2 inputs." in printed
    net = caffe.Classifier(
        *model, image_dims=(12, 10), mean=mean, raw_scale=255.0, channel_swap=(2, 1, 0)
    )
    images = [caffe.io.load_image(path) for path in photos]
    assert np.array_equal(np.load(out), net.predict(images))

    assert classify.main([photos[1], out, "--center_only", *options]) == 0
    assert np.array_equal(np.load(out), net.predict(images[1:], False))
    np.save(str(tmp_path / "images.npy"), np.stack(images))
    assert classify.main([str(tmp_path / "images.npy"), out, *options]) == 0
    assert np.array_equal(np.load(out), net.predict(images))


def test_a_mean_of_binaryproto(tmp_path):
    mean = np.random.RandomState(0).rand(3, 8, 8).astype(np.float32)
    blob = caffe.io.array_to_blobproto(mean[None])
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    assert np.array_equal(classify.read_mean(str(tmp_path / "mean.binaryproto")), mean)
    assert classify.read_mean("") is None


def test_detect(model, arguments, photos, tmp_path, capsys):
    windows = [(photos[0], 2, 3, 14, 15), (photos[1], 0, 0, 9, 9), (photos[0], 5, 5, 19, 20)]
    lines = ["filename,ymin,xmin,ymax,xmax", *(",".join(map(str, row)) for row in windows)]
    (tmp_path / "windows.csv").write_text("\n".join(lines) + "\n")
    options = [*arguments, "--crop_mode", "list", "--context_pad", "2"]
    np.save(str(tmp_path / "mean.npy"), np.full((3, 5, 5), 100.0))
    options += ["--mean_file", str(tmp_path / "mean.npy")]
    given = [str(tmp_path / "windows.csv")]
    assert detect.main([*given, str(tmp_path / "out.csv"), *options]) == 0
    assert "Processed 3 windows in" in capsys.readouterr().out
    detector = caffe.Detector(
        *model, mean=np.full(3, 100.0), raw_scale=255.0, channel_swap=(2, 1, 0), context_pad=2
    )
    expected = detector.detect_windows(
        [(photos[0], [windows[0][1:], windows[2][1:]]), (photos[1], [windows[1][1:]])]
    )
    predictions = np.array([found["prediction"] for found in expected])
    with open(tmp_path / "out.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["filename"] for row in rows] == [photos[0], photos[0], photos[1]]
    assert [row["ymin"] for row in rows] == ["2", "5", "0"]
    found = [[float(row[f"class{i}"]) for i in range(4)] for row in rows]
    assert np.allclose(found, predictions, rtol=1e-6)

    assert detect.main([*given, str(tmp_path / "out.h5"), *options]) == 0
    with h5py.File(tmp_path / "out.h5", "r") as file:
        assert [n.decode() for n in file["filename"]] == [photos[0], photos[0], photos[1]]
        assert file["window"].shape == (3, 4)
        assert np.allclose(file["prediction"], predictions, rtol=1e-6)


def test_failures_are_one_line_and_status_1(model, arguments, photos, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("filename,ymin\na.png,1\n")
    (tmp_path / "letters.csv").write_text("filename,ymin,xmin,ymax,xmax\na.png,1,2,x,4\n")
    out = str(tmp_path / "out.npy")
    window = ["--crop_mode", "list", "--context_pad", "2"]
    for tool, given, message in (
        (classify, [str(tmp_path / "nowhere.png"), out, *arguments], "nowhere.png"),
        (classify, [str(tmp_path), out, *arguments], r"no *.jpg in"),
        (classify, [photos[0], out, *arguments, "--images_dim", "a,b"], "whole numbers"),
        (classify, [photos[0], out, *arguments, "--mean_file", photos[0]], "is no mean file"),
        (classify, [photos[0], out, "--model_def", "x", "--pretrained_model", "y"], "x"),
        (detect, [str(tmp_path / "bad.csv"), out, *arguments, *window], "no column xmin"),
        (detect, [str(tmp_path / "letters.csv"), out, *arguments, *window], "line 2"),
    ):
        assert tool.main(given) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("tool", [classify, detect])
@pytest.mark.parametrize("word", ["-help", "--help", "-h"])
def test_help(tool, word, capsys):
    with pytest.raises(SystemExit) as caught:
        tool.main([word])
    assert caught.value.code == 0 and capsys.readouterr().out.startswith("usage: caffe ")


def npy(header, body=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8, 8, 3)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4000000000)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}",
    "{'descr': '<U1', 'fortran_order': False, 'shape': ()}",
    "{'descr': '<f4'}",
    "garbage(",
    "(" * 300,
    "",
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_crafted_npy_file_is_one_error_that_names_it(arguments, tmp_path, capsys, header):
    bad = tmp_path / "bad.npy"
    bad.write_bytes(npy(header, b"x\0\0\0"))
    np.save(str(tmp_path / "good.npy"), np.zeros((1, 8, 8, 3), np.float32))
    good, out = str(tmp_path / "good.npy"), str(tmp_path / "out.npy")
    for words in ([str(bad), out], [good, out, "--mean_file", str(bad)]):
        assert classify.main([*words, *arguments]) == 1
        told = capsys.readouterr().err
        assert told.startswith("caffe classify: ") and str(bad) in told
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe.png,1,2,3,4", b"a.png,nan,2,3,4", b"a.png,1,2", b"a.png," + b"9" * 200000, b"\0"],
)
def test_a_csv_that_cannot_be_read_is_one_error_that_names_it(arguments, tmp_path, capsys, line):
    listed = tmp_path / "windows.csv"
    listed.write_bytes(b"filename,ymin,xmin,ymax,xmax\n" + line + b"\n")
    words = [str(listed), str(tmp_path / "out.csv"), "--crop_mode", "list", *arguments]
    assert detect.main([*words, "--context_pad", "0"]) == 1
    assert str(listed) in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["out.npy", "out.csv", "out.h5"])
def test_results_are_written_whole_or_not_at_all(
    arguments, photos, tmp_path, monkeypatch, capsys, name
):
    (tmp_path / "windows.csv").write_text(f"filename,ymin,xmin,ymax,xmax\n{photos[0]},1,1,9,9\n")
    out = tmp_path / name
    out.write_bytes(b"of before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("caffe.atomic.os.fsync", full)
    if name.endswith(".npy"):
        words = [photos[0], str(out), "--images_dim", "8,8", *arguments]
        assert classify.main(words) == 1
    else:
        words = [str(tmp_path / "windows.csv"), str(out), "--crop_mode", "list", *arguments]
        assert detect.main([*words, "--context_pad", "0"]) == 1
    told = capsys.readouterr().err
    assert "No space left" in told and str(out) in told
    assert out.read_bytes() == b"of before"
    assert [path.name for path in tmp_path.iterdir() if "tmp-" in path.name] == []
