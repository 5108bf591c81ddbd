"""python score.py --pred DIR --gt DIR: pairing, reading, the measures of all and of each."""

import contextlib
import io
import os

import numpy as np
from fcn_helpers import raised
from PIL import Image

import score
from fcn.errors import StartError
from fcn.palette import save_label_png, voc_palette
from fcn.scoring import command, predictions

TRUTH = {"a": [[0, 0, 1], [1, 255, 2]], "b": [[2, 2, 2], [2, 2, 2]]}
PREDICTED = {"a": [[0, 1, 1], [1, 0, 2]], "b": [[2, 2, 2], [2, 2, 0]]}


def write(folder, maps):
    os.makedirs(folder)
    for name, label in maps.items():
        save_label_png(os.path.join(folder, name + ".png"), np.uint8(label), voc_palette())


def folders(tmp_path):
    pred, gt = str(tmp_path / "pred"), str(tmp_path / "gt")
    write(pred, PREDICTED)
    write(gt, TRUTH)
    return pred, gt


def test_measures_of_the_data_set_and_the_means_of_the_images(tmp_path):
    found = predictions.pairs(*folders(tmp_path))
    result, averages = predictions.evaluate(found, 3)
    assert result.hist.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 6]]
    assert np.isclose(result.metrics.overall_accuracy, 9 / 11)
    assert np.isclose(result.metrics.mean_iu, (1 / 3 + 2 / 3 + 6 / 7) / 3)
    # Image a: IU 1/2, 2/3, 1. Image b: class 0 was predicted alone, class 1 is absent from both.
    assert np.isclose(averages.mean_iu, ((1 / 2 + 2 / 3 + 1) / 3 + (0 + 5 / 6) / 2) / 2)
    assert np.isclose(averages.overall_accuracy, (4 / 5 + 5 / 6) / 2)
    assert averages.images == 2


def test_the_command_line_prints_both(tmp_path):
    pred, gt = folders(tmp_path)
    (tmp_path / "list").write_text("a\n")
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        status = command.main(
            ["--pred", pred, "--gt", gt, "--classes", "3", "--list", str(tmp_path / "list")]
        )
    assert status == 0
    assert "1 images, 5 pixels counted" in log.getvalue()
    iu = (1 / 2 + 2 / 3 + 1) / 3
    assert f"mean IU                  {iu:.4f}          {iu:.4f}" in log.getvalue()
    assert "class 2" in log.getvalue()


def test_npy_and_a_label_that_is_ignored(tmp_path):
    pred, gt = str(tmp_path / "pred"), str(tmp_path / "gt")
    os.makedirs(pred)
    os.makedirs(gt)
    np.save(os.path.join(pred, "x.npy"), np.array([[0, 1], [1, 1]]))
    Image.fromarray(np.uint8([[0, 1], [2, 1]])).save(os.path.join(gt, "x.png"))
    result, _ = predictions.evaluate(predictions.pairs(pred, gt), 3, ignore=2)
    assert result.hist.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_what_is_wrong_is_told_with_its_file(tmp_path):
    pred, gt = folders(tmp_path)
    assert "is no folder" in raised(StartError, predictions.label_maps, str(tmp_path / "no"))
    Image.fromarray(np.uint8([[7, 0, 1], [1, 0, 2]])).save(os.path.join(pred, "a.png"))
    text = raised(StartError, predictions.evaluate, predictions.pairs(pred, gt), 3)
    assert "a.png: the value at x=0, y=0 is 7, expected 0…2" in text
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(os.path.join(pred, "a.png"))
    assert "is 2×2, its truth" in raised(
        StartError, predictions.evaluate, predictions.pairs(pred, gt), 3
    )
    Image.new("RGB", (3, 2)).save(os.path.join(pred, "a.png"))
    assert "mode RGB" in raised(StartError, predictions.evaluate, predictions.pairs(pred, gt), 3)
    os.remove(os.path.join(pred, "a.png"))
    assert "no label map for 1 of 2 images, 'a' first" in raised(
        StartError, predictions.pairs, pred, gt
    )
    np.save(os.path.join(gt, "a.npy"), np.zeros((2, 3), int))
    assert "two label maps of 'a'" in raised(StartError, predictions.pairs, pred, gt)


def test_the_published_demo_gives_its_measures(tmp_path):
    """A pair of maps with the histogram of the published demo image."""
    counts = {
        (0, 0): 52692,
        (0, 2): 1398,
        (0, 15): 299,
        (2, 0): 4618,
        (2, 2): 28404,
        (2, 15): 1161,
        (15, 0): 8782,
        (15, 2): 7320,
        (15, 15): 45041,
    }
    truth = np.concatenate([np.full(n, t) for (t, _), n in counts.items()]).reshape(1, -1)
    guess = np.concatenate([np.full(n, p) for (_, p), n in counts.items()]).reshape(1, -1)
    pred, gt = str(tmp_path / "pred"), str(tmp_path / "gt")
    write(pred, {"demo": guess})
    write(gt, {"demo": truth})
    result, averages = predictions.evaluate(predictions.pairs(pred, gt), 21)
    assert abs(result.metrics.mean_iu - 0.71962) < 5e-6
    assert averages.mean_iu == result.metrics.mean_iu
    assert isinstance(result, score.Score)


def test_crafted_npy_files_are_one_error(tmp_path):
    path = str(tmp_path / "x.npy")
    for header in (
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 3), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
        b"{" * 5000,
        b"('",
        b"",
    ):
        with open(path, "wb") as f:
            f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 6)
        text = raised(StartError, predictions.read_label_map, path)
        assert "x.npy" in text and len(text) < 1000
