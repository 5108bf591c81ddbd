"""The tool detect: windows in, files out, the numbers of caffe.Detector."""

import csv

import h5py
import numpy as np
import pytest

import caffe
from caffe.tools import detect


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
