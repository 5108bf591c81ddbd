"""Samples, and the best and the worst images of a scoring pass."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcn.palette import voc_palette
from fcn.scoring.metrics import fast_hist
from fcn.training.pictures import SIDE, Pictures, chosen, read_sample
from fcn.training.records import read_rows, step_name

Input = namedtuple("Input", "blob channels mean")


def scored(folder, step, wrong, size=(6, 8), channels=3, shown=2):
    """Score images of which the first wrong[i] columns are found wrong."""
    values = np.arange(channels, dtype=np.float32)[None, :, None, None] * 50
    net = SimpleNamespace(
        blobs={"data": SimpleNamespace(data=np.broadcast_to(values, (1, channels, *size)))}
    )
    dataset = SimpleNamespace(inputs=[Input("data", channels, (1.0,) * channels)])
    ids = [f"ä {i}" for i in range(len(wrong))]
    pictures = Pictures(net, dataset, voc_palette(), ids, str(folder), shown=shown)
    for index, columns in enumerate(wrong):
        truth = np.zeros((1, *size), np.float32)[0]
        truth[:2] = 1
        truth[-1, -1] = 255
        found = truth.astype(np.uint8) % 255
        found[:, :columns] = 2
        pictures.each(index, 0, truth, found, fast_hist(truth, found, 3))
    pictures.save(step)
    return pictures


def test_the_worst_and_the_best_are_found(tmp_path):
    scored(tmp_path, 40, [3, 0, 7, 1, 5, 2])
    folder = tmp_path / "scored" / step_name(40)
    rows = read_rows(str(folder / "images.csv"))
    assert [row["image"] for row in rows] == [f"ä {i}" for i in range(6)]
    places = {row["image"]: row["pictures"] for row in rows}
    assert places["ä 2"] == "worst-1" and places["ä 4"] == "worst-2"
    assert places["ä 1"] == "best-1" and places["ä 5"] == "best-3 worst-4"
    assert rows[1]["mean_iu"] == 1 and rows[1]["pixels"] == 47
    with Image.open(folder / "worst-1-labels.png") as image:
        assert (np.array(image)[:, :7] == 2).all()
    with Image.open(folder / "worst-1-truth.png") as image:
        assert np.array(image)[-1, -1] == 255


def test_samples_keep_what_the_net_saw_and_found(tmp_path):
    scored(tmp_path, 40, [3, 0, 7, 1])
    scored(tmp_path, 80, [1, 0, 0, 0])
    folders = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert folders == ["1-ä_1", "2-ä_3"]
    photo, truth, labels = read_sample(str(tmp_path / "samples" / "2-ä_3"))
    # The blob is B, G, R minus the mean of 1; the photo is a JPEG.
    assert np.abs(photo.reshape(-1, 3).mean(0) - (101, 51, 1)).max() < 3
    assert truth.shape == (6, 8) and sorted(labels) == [40, 80]
    assert (labels[40][:, 0] == 2).all() and not (labels[80][:, 0] == 2).any()
    with Image.open(tmp_path / "samples.jpg") as sheet:
        assert sheet.width == 4 * 206 + 6  # photo, truth, two steps


def test_only_the_named_steps_keep_their_extremes(tmp_path):
    for step in (20, 40, 60):
        pictures = scored(tmp_path, step, [1, 2, 3])
    pictures.forget([20, 60])
    left = {path.name: len(list(path.iterdir())) for path in (tmp_path / "scored").iterdir()}
    assert left[step_name(40)] == 1 and left[step_name(20)] == left[step_name(60)] == 1 + 2 * 3 * 3


@pytest.mark.parametrize("channels", [1, 2])
def test_large_images_are_made_smaller_and_depth_is_grey(tmp_path, channels):
    scored(tmp_path, 5, [1], size=(20, 2 * SIDE), channels=channels)
    photo, truth, labels = read_sample(str(tmp_path / "samples" / "1-ä_0"))
    assert photo.shape == (10, SIDE, 3) and truth.shape == labels[5].shape == (10, SIDE)


def test_steps_are_chosen_from_first_to_last():
    assert chosen([1, 2, 3], 5) == [1, 2, 3]
    assert chosen(list(range(10, 110, 10)), 4) == [10, 40, 70, 100]


@pytest.mark.parametrize("missing", ["photo.jpg", "truth.png"])
def test_a_sample_that_a_kill_left_half_is_made_whole(tmp_path, missing):
    scored(tmp_path, 40, [3, 0, 7])
    folders = sorted((tmp_path / "samples").iterdir())
    before = (folders[0] / missing).read_bytes()
    (folders[0] / missing).unlink()
    scored(tmp_path, 80, [3, 0, 7])
    assert (folders[0] / missing).read_bytes() == before
