"""Result files of DetectionOutput, for VOC, ILSVRC and COCO."""

import json

import numpy as np
import pytest
from detecting import rig

from caffe.errors import DataError, LayerError

LABELS = """
    item { name: "none" label: 0 display_name: "background" }
    item { name: "cat" label: 1 display_name: "cat" }
    item { name: "17" label: 2 display_name: "dog" }"""


def saving(folder, form, more="", labels="labels.prototxt", sizes="sizes.txt", count=2):
    """A layer of 2 images a batch that saves, and what it reads: one box a class and image."""
    (folder / "labels.prototxt").write_text(LABELS)
    (folder / "sizes.txt").write_text("first 100 200\n0042 50 50\n7 10 10\n")
    text = f"""num_classes: 3 save_output_param {{ output_directory: "{folder / "out" / "deep"}"
        output_name_prefix: "comp4_" output_format: "{form}"
        label_map_file: "{folder / labels}" name_size_file: "{folder / sizes}"
        num_test_image: {count} {more} }}"""
    boxes = np.array([[0.1, 0.2, 0.5, 0.6], [0.25, 0.25, 1.5, 0.75]], np.float32)
    conf = np.zeros((2, 2, 3), np.float32)
    conf[:, 0, 1], conf[:, 1, 2] = 0.875, 0.5
    layer, inputs = rig(
        f"{text} confidence_threshold: 0.1",
        np.zeros((2, 2, 1, 4), np.float32), conf, boxes, np.full((2, 4), 0.1, np.float32),
    )  # fmt: skip
    layer.forward(*inputs)
    return {path.name: path.read_text() for path in sorted((folder / "out" / "deep").iterdir())}


def test_results_for_voc(tmp_path):
    assert saving(tmp_path, "VOC") == {
        "comp4_17.txt": "first 0.5 50 25 200 75\n0042 0.5 12 12 49 37\n",
        "comp4_cat.txt": "first 0.875 20 20 100 60\n0042 0.875 5 10 25 30\n",
    }


def test_results_for_ilsvrc(tmp_path):
    assert saving(tmp_path, "ILSVRC") == {
        "comp4_.txt": "first 1 0.875 20 20 100 60\nfirst 2 0.5 50 25 200 75\n"
        "0042 1 0.875 5 10 25 30\n0042 2 0.5 12 12 49 37\n"
    }


def test_results_for_coco(tmp_path):
    found = json.loads(saving(tmp_path, "COCO")["comp4_.json"])
    assert [(d["image_id"], d["category_id"], d["score"]) for d in found] == [
        ("first", "cat", 0.875), ("first", 17, 0.5), ("0042", "cat", 0.875), ("0042", 17, 0.5),
    ]  # fmt: skip
    assert found[0]["bbox"] == [20, 20, 80, 40] and found[3]["bbox"] == [12.5, 12.5, 37.5, 25]


def test_results_of_images_that_a_net_saw_with_a_border(tmp_path):
    """100 x 200 pixels lie in the middle half of a square."""
    resize = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 300 width: 300 }"
    found = json.loads(saving(tmp_path, "COCO", resize)["comp4_.json"])
    assert np.allclose(found[0]["bbox"], [20, 0, 80, 70])
    small = "resize_param { resize_mode: FIT_SMALL_SIZE height: 3 width: 3 height_scale: 80"
    found = json.loads(saving(tmp_path, "COCO", small + " width_scale: 60 }")["comp4_.json"])
    assert np.allclose(found[0]["bbox"], [6, 16, 24, 32])


def test_results_that_cannot_be_written(tmp_path):
    with pytest.raises(LayerError, match="save_output_param: output_format must be VOC, COCO or"):
        saving(tmp_path, "voc")
    with pytest.raises(LayerError, match=r"num_test_image is 5, .* names 3 images"):
        saving(tmp_path, "VOC", count=5)
    with pytest.raises(DataError, match="cannot read .*none.txt: No such file"):
        saving(tmp_path, "VOC", sizes="none.txt")
    (tmp_path / "bad.txt").write_text("a 3 4\nb 3\n")
    with pytest.raises(DataError, match=r"bad.txt:2: expected `name height width`, got 'b 3'"):
        saving(tmp_path, "VOC", sizes="bad.txt")
    (tmp_path / "few.prototxt").write_text('item { name: "cat" label: 1 }')
    with pytest.raises(DataError, match=r"label 2 was detected, but has no name in .*few"):
        saving(tmp_path, "VOC", labels="few.prototxt")
    assert not (tmp_path / "out").exists()
