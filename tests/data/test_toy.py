"""The toy dataset: VOC's layout, borders of 255, the same pictures for the same arguments."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import bootstrap
from data import toy


def digest(folder):
    sums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            sums[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return sums


def test_layout_and_labels(tmp_path):
    toy.generate(str(tmp_path), train=6, val=2, size=(64, 48), seed=1)
    seen = np.zeros(256, int)
    for split, count in (("train", 6), ("val", 2)):
        lines = (tmp_path / "ImageSets" / "Segmentation" / (split + ".txt")).read_text().split()
        assert len(lines) == count
        for name in lines:
            with Image.open(tmp_path / "JPEGImages" / (name + ".jpg")) as image:
                assert (image.mode, image.size) == ("RGB", (64, 48))
            with Image.open(tmp_path / "SegmentationClass" / (name + ".png")) as image:
                assert (image.mode, image.size) == ("P", (64, 48))
                seen += np.bincount(np.array(image).ravel(), minlength=256)
    used = set(np.flatnonzero(seen))
    assert used == set(range(len(toy.CLASSES))) | {255}
    assert seen[0] / seen.sum() > 0.3 and 0.02 < seen[255] / seen.sum() < 0.3


def test_regions_are_separated_by_borders():
    import random

    for seed in range(10):
        _, label = toy.draw(96, 72, random.Random(seed))
        for a, b in ((label[:, 1:], label[:, :-1]), (label[1:], label[:-1])):
            touching = (a != b) & (a != 255) & (b != 255)
            # Where a shape covers another one's border, its own border stands in.
            assert touching.sum() == 0


def test_same_arguments_same_bytes_and_more_pictures_change_none(tmp_path):
    toy.generate(str(tmp_path / "a"), 2, 1, (48, 48), 5)
    toy.generate(str(tmp_path / "b"), 3, 1, (48, 48), 5)
    toy.generate(str(tmp_path / "c"), 2, 1, (48, 48), 6)
    a, b, c = (digest(tmp_path / name) for name in "abc")
    common = [name for name in a if not name.endswith("train.txt")]
    assert all(a[name] == b[name] for name in common)
    name = os.path.join("JPEGImages", "toy_train_0000.jpg")
    assert a[name] != c[name]
    toy.generate(str(tmp_path / "a"), 2, 1, (48, 48), 5)  # again, over itself
    assert digest(tmp_path / "a") == a


def test_other_peoples_lists_are_left_alone(tmp_path):
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_000129\n")
    before = digest(tmp_path)
    with pytest.raises(FileExistsError, match="not ours"):
        toy.generate(str(tmp_path), 1, 1, (48, 48), 0)
    assert digest(tmp_path) == before


def test_command_line_from_any_directory(tmp_path):
    script = os.path.join(bootstrap.ROOT, "data", "toy.py")
    done = subprocess.run(
        [sys.executable, script, "--out", "mine", "--train", "2", "--val", "1", "--size", "32x24"],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "2 pictures for training, 1 for validation, 32x24" in done.stdout
    assert (tmp_path / "mine" / "JPEGImages" / "toy_val_0000.jpg").exists()
    bad = subprocess.run(
        [sys.executable, script, "--size", "big"],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert bad.returncode == 2 and "expected WIDTHxHEIGHT" in bad.stderr


def test_plain_pictures_are_as_people_have_them(tmp_path):
    from data.preparing.colours import read_colours

    toy.generate_plain(str(tmp_path), 2, (64, 48), 0)
    assert sorted(p.name for p in (tmp_path / "photos").iterdir()) == [
        "picture_0000.jpg",
        "picture_0001.jpg",
    ]
    labels, names, _ = read_colours(str(tmp_path / "palette.txt"))
    assert tuple(names) == toy.CLASSES
    with Image.open(tmp_path / "masks" / "picture_0000.png") as mask:
        assert mask.mode == "RGB" and mask.size == (64, 48)
        assert {colour for _, colour in mask.getcolors()} <= set(labels)
