"""data/membrane.py: images copied, labels to class numbers, lists that the layer reads."""

import os

import numpy as np
from PIL import Image

from data import dataset, membrane


def _source(tmp_path, count=6):
    source = os.path.join(str(tmp_path), "source")
    rng = np.random.RandomState(0)
    for part in ("image", "label"):
        os.makedirs(os.path.join(source, part))
    for i in range(count):
        image = rng.randint(0, 256, (20, 24)).astype(np.uint8)
        Image.fromarray(image).save(os.path.join(source, "image", f"{i}.png"))
        label = np.where(image < 60, 0, 255).astype(np.uint8)
        Image.fromarray(label).save(os.path.join(source, "label", f"{i}.png"))
    return source


def _lines(path):
    with open(path, encoding="utf-8") as lines:
        return [line.split("\t") for line in lines.read().splitlines()]


def test_labels_become_class_numbers_and_nothing_is_in_both_lists(tmp_path):
    source, out = _source(tmp_path), os.path.join(str(tmp_path), "out")
    for _ in range(2):  # again: the same
        assert not membrane.prepare(source, out).problems
    splits = {name: _lines(os.path.join(out, name + ".txt")) for name in ("train", "val")}
    assert (len(splits["train"]), len(splits["val"])) == (5, 1)
    assert sorted(image for pairs in splits.values() for image, _ in pairs) == [
        f"{i}.png" for i in range(6)
    ]
    for image, mask in splits["train"] + splits["val"]:
        grey = np.array(Image.open(os.path.join(out, "images", image)))
        label = np.array(Image.open(os.path.join(out, "labels", mask)))
        assert np.array_equal(label, grey >= 60)


def test_a_source_without_labels_is_named(tmp_path):
    source = os.path.join(str(tmp_path), "source")
    os.makedirs(os.path.join(source, "image"))
    (problem,) = membrane.prepare(source, str(tmp_path)).problems
    assert os.path.join(source, "label") in problem and "--source" in problem


def test_it_is_a_dataset_by_name():
    assert dataset("membrane").CLASSES == ("membrane", "cell")
    assert dataset("membrane").PALETTE.shape == (256, 3)
