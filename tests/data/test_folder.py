"""A folder of images and masks as a dataset: pairs, conversions, lists, mean, description."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import bootstrap
import data
from data.folder import Options, prepare


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(str(path))


@pytest.fixture
def folders(tmp_path):
    """Twenty images of known colour, masks of 0 to 2 and 255."""
    rng = np.random.RandomState(0)
    for i in range(20):
        save(tmp_path / "images" / f"{i:02d}.png", np.full((6, 8, 3), (i, 100, 200), np.uint8))
        save(
            tmp_path / "masks" / f"{i:02d}.png", rng.choice([0, 1, 2, 255], (6, 8)).astype(np.uint8)
        )
    return tmp_path


def options(root, **more):
    return Options(str(root / "images"), str(root / "masks"), str(root / "out"), "mine", **more)


def lines(root, split):
    return [line.split("\t") for line in (root / "out" / (split + ".txt")).read_text().splitlines()]


def test_lists_mean_and_description(folders):
    report = prepare(options(folders, names=["ground", "tree", "house"]))
    assert report.problems == []
    train, val = lines(folders, "train"), lines(folders, "val")
    assert len(train) == 18 and len(val) == 2
    assert sorted(train + val) == [[f"{i:02d}.png"] * 2 for i in range(20)]
    found = data.dataset(str(folders / "out" / "dataset.json"))
    assert found.CLASSES == ("ground", "tree", "house") and found.PALETTE.shape == (256, 3)
    reds = [int(image[:2]) for image, _ in train]
    assert found.mean == (200.0, 100.0, pytest.approx(np.mean(reds), abs=1e-3))
    assert found.size == (6, 8) and found.images == {"train": 18, "val": 2}
    assert (found.layer["module"], found.layer["layer"]) == ("folder_layers", "FolderSegDataLayer")
    assert found.layer["train"]["classes"] == 3 and found.layer["val"]["split"] == "val"


def test_again_gives_the_same_and_more_images_move_few(folders):
    prepare(options(folders, val_share=0.3))
    before = (folders / "out" / "dataset.json").read_text(), lines(folders, "val")
    prepare(options(folders, val_share=0.3))
    assert before == ((folders / "out" / "dataset.json").read_text(), lines(folders, "val"))
    save(folders / "images" / "new.png", np.zeros((6, 8, 3), np.uint8))
    save(folders / "masks" / "new.png", np.zeros((6, 8), np.uint8))
    prepare(options(folders, val_share=0.3))
    moved = set(map(tuple, before[1])) ^ set(map(tuple, lines(folders, "val")))
    assert len(moved) <= 2


def test_classes_without_names_are_counted(folders):
    report = prepare(options(folders))
    assert data.dataset(str(folders / "out/dataset.json")).CLASSES == (
        "class 0",
        "class 1",
        "class 2",
    )
    assert any("20 images with 3 classes" in line for line in report.done)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda m: save(m / "03.png", np.full((6, 8), 3, np.uint8)),
            "03.png' holds 3 at x=0, y=0 .* expected 0 to 2",
        ),
        (lambda m: save(m / "03.png", np.zeros((6, 9), np.uint8)), "'03.png' is 8x6, its mask 9x6"),
        (
            lambda m: save(m / "03.png", np.zeros((6, 8, 3), np.uint8)),
            "03.png' is a RGB image; .* see --rgb and --values",
        ),
        (lambda m: (m / "03.png").write_bytes(b"damaged"), "cannot read the label .*03.png"),
        (
            lambda m: ((m / "03.png").unlink(), save(m / "03.jpg", np.zeros((6, 8), np.uint8))),
            "03.jpg' is a JPEG, whose compression changes",
        ),
    ],
)
def test_bad_masks_are_named_and_nothing_is_written(spoil, message, folders):
    spoil(folders / "masks")
    report = prepare(options(folders, names=["a", "b", "c"]))
    assert len(report.problems) == 1
    assert re.search(message, report.problems[0])
    assert not (folders / "out" / "dataset.json").exists()


def test_masks_of_0_and_255_are_asked_about_then_converted(folders):
    for i in range(20):
        mask = np.zeros((6, 8), np.uint8)
        mask[i % 6] = 255
        save(folders / "masks" / f"{i:02d}.png", mask)
    assert "say --values 0,255" in prepare(options(folders)).problems[0]
    report = prepare(options(folders, values=[0, 255]))
    assert report.problems == []
    with Image.open(folders / "out" / "labels" / "04.png") as image:
        np.testing.assert_array_equal(np.array(image), np.repeat([[0] * 4 + [1] + [0]], 8, 0).T)
    params = data.dataset(str(folders / "out/dataset.json")).layer["train"]
    assert params["labels_dir"] == str(folders / "out" / "labels") and params["classes"] == 2


@pytest.mark.parametrize("kind", ["1", "RGB", "I;16", "RGBA"])
def test_values_in_other_kinds_of_images(kind, folders):
    high = 300 if kind == "I;16" else 255
    raw = np.zeros((6, 8), np.uint16)
    raw[2, 3:] = high
    for i in range(20):
        path = str(folders / "masks" / f"{i:02d}.png")
        if kind == "I;16":
            Image.fromarray(raw).save(path)
        else:
            Image.fromarray(raw.astype(np.uint8)).convert(kind).save(path)
    assert prepare(options(folders, values=[0, high])).problems == []
    with Image.open(folders / "out" / "labels" / "00.png") as image:
        np.testing.assert_array_equal(np.array(image), raw == high)


def test_a_value_that_was_not_named(folders):
    raw = np.zeros((6, 8), np.uint8)
    raw[4, 5] = 7
    for i in range(20):
        save(folders / "masks" / f"{i:02d}.png", raw)
    report = prepare(options(folders, values=[0, 255]))
    assert "00.png' holds 7 at x=5, y=4" in report.problems[0]
    assert len(report.problems) == 11 and "and 10 more of 20" in report.problems[-1]
    assert prepare(options(folders, values=[0], ignore=[7])).problems == []
    with Image.open(folders / "out" / "labels" / "00.png") as image:
        assert np.array(image)[4, 5] == 255


COLOURS = "# the classes\n0 0 0 void\n10 20 30 ground\n200 0 0 tree, high\n0 200 0 tree, high\n"


def test_masks_in_colours(folders):
    (folders / "palette.txt").write_text(COLOURS)
    colours = np.array([(10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 0)], np.uint8)
    want = np.array([0, 1, 1, 255])
    rng = np.random.RandomState(3)
    chosen = rng.randint(0, 4, (6, 8))
    for i in range(20):
        save(folders / "masks" / f"{i:02d}.png", colours[chosen])
    assert prepare(options(folders, rgb=str(folders / "palette.txt"))).problems == []
    with Image.open(folders / "out" / "labels" / "07.png") as image:
        np.testing.assert_array_equal(np.array(image), want[chosen])
    found = data.dataset(str(folders / "out/dataset.json"))
    assert found.CLASSES == ("ground", "tree high")
    assert found.PALETTE[:2].tolist() == [[10, 20, 30], [200, 0, 0]]

    wrong = colours[chosen]
    wrong[1, 6] = (9, 9, 9)
    save(folders / "masks" / "07.png", wrong)
    report = prepare(options(folders, rgb=str(folders / "palette.txt")))
    assert "07.png' has the colour (9, 9, 9) at x=6, y=1 (1 pixels" in report.problems[0]


def test_names_with_something_behind_them(folders):
    for path in list((folders / "masks").iterdir()):
        path.rename(path.with_name(path.stem + "_L.png"))
    report = prepare(options(folders))
    assert "try --mask-suffix=_L" in report.problems[0]
    assert prepare(options(folders, suffix="_L")).problems == []
    assert lines(folders, "val")[0][1].endswith("_L.png")


def test_what_is_left_over_is_told(folders):
    (folders / "masks" / "05.png").unlink()
    (folders / "images" / "06.png").unlink()
    report = prepare(options(folders))
    assert report.problems == []
    assert any("1 images have no mask" in note and "05.png" in note for note in report.notes)
    assert any("1 masks have no image" in note and "06.png" in note for note in report.notes)


def test_not_a_description(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="x.json' is not what data/folder.py writes"):
        data.dataset(str(tmp_path / "x.json"))


def test_command_line(folders):
    def run(*arguments):
        return subprocess.run(
            [
                sys.executable,
                bootstrap.ROOT + "/data/folder.py",
                "--images",
                "images",
                "--masks",
                "masks",
                *arguments,
            ],
            cwd=str(folders),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    done = run("--out", "o", "--val-share", "0.5")
    assert done.returncode == 0 and "10 images to train on, 10 to validate" in done.stdout
    assert (folders / "o" / "val.txt").exists()
    done = run("--values", "0,x")
    assert done.returncode == 2 and "expected numbers as 0,255" in done.stdout


def test_a_mask_of_absurd_size_is_one_problem(folders, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # the masks have 48: more than twice that
    report = prepare(options(folders, values=[0, 1, 2], ignore=[255]))
    assert len(report.problems) >= 1 and "00.png" in report.problems[0], report.problems


def test_numbers_and_names_that_are_none(folders):
    command = [sys.executable, "data/folder.py", "--images", str(folders / "images")]
    command += ["--masks", str(folders / "masks"), "--out", str(folders / "out")]
    (folders / "names.txt").write_bytes(b"\xff\n")
    for arguments in (["--values", "0," + "9" * 5000], ["--classes", str(folders / "names.txt")]):
        done = subprocess.run(
            command + arguments, cwd=bootstrap.ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-500:]


def test_ten_problems_are_told_and_the_rest_counted(folders):
    for i in range(14):
        (folders / "masks" / f"{i:02d}.png").write_bytes(b"no image")
    for more in ({}, {"values": [0, 1, 2], "ignore": [255]}):
        problems = prepare(options(folders, **more)).problems
        assert len(problems) == 11 and "00.png" in problems[0], problems
        assert problems[-1] == "and 4 more of 20 are bad", problems


def test_an_existing_split_is_taken(folders):
    (folders / "a.txt").write_text("03\n01.png\n")
    (folders / "b.txt").write_text("02\n")
    lists = (str(folders / "a.txt"), str(folders / "b.txt"))
    report = prepare(options(folders, lists=lists))
    assert report.problems == [] and any("the lists name 3" in note for note in report.notes)
    assert lines(folders, "train") == [["03.png"] * 2, ["01.png"] * 2]
    assert lines(folders, "val") == [["02.png"] * 2]
    (folders / "b.txt").write_text("02\ngone\n")
    (problem,) = prepare(options(folders, lists=lists)).problems
    assert "names 1 images" in problem and "'gone'" in problem


@pytest.mark.parametrize("which", ["images", "masks"])
def test_a_name_that_is_not_utf8_is_one_problem(folders, which):
    folder = os.fsencode(folders / which)
    try:
        os.rename(folder + b"/03.png", folder + b"/03\xff.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    for more in ({}, {"values": [0, 1, 2], "ignore": [255]}, {"skip_bad": True}):
        (problem,) = prepare(options(folders, **more)).problems
        assert "no UTF-8" in problem and which in problem, problem
        problem.encode()  # it can be printed
    assert not (folders / "out" / "dataset.json").exists()
