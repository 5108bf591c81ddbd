"""What classify and detect share: failures, help, crafted files, whole results."""

import numpy as np
import pytest

from caffe.tools import classify, detect


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
