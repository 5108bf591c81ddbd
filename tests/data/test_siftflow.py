"""SIFT Flow from its archive as downloaded."""

import os

import data_samples
import numpy as np
import pytest
import scipy.io
import true_files

from data import siftflow

SUBFOLDER = data_samples.SIFTFLOW_SUBFOLDER
TRAINVAL, TEST = (
    ("street_urb885", "coast_arnat59", "forest_for121"),
    ("highway_gre141", "coast_natu975"),
)


@pytest.fixture
def made(tmp_path):
    """The unpacked archive, with an image that has no label."""
    data_samples.siftflow(tmp_path / "made", TRAINVAL + ("street_urb506",), TEST, lists=False)
    for kind in ("SemanticLabels", "GeoLabels"):
        (tmp_path / "made" / kind / SUBFOLDER / "street_urb506.mat").unlink()
    return tmp_path / "made"


def lines(path):
    return path.read_text().split()


@pytest.mark.parametrize("prefix", ["", "SiftFlowDataset/"])
def test_the_archive(root, made, tmp_path, prefix):
    (tmp_path / "downloads").mkdir()
    (made / "README.txt").write_text("not needed")
    true_files.zip_of(made, tmp_path / "downloads/SiftFlowDataset.zip", prefix)
    for _ in range(2):
        report = siftflow.prepare(archives=str(tmp_path / "downloads"))
        assert report.problems == []
        # All that is neither in the archive's test set nor without a label, by name.
        assert lines(root / "data/sift-flow/trainval.txt") == sorted(TRAINVAL)
        assert lines(root / "data/sift-flow/test.txt") == list(TEST)
    assert sorted(os.listdir(str(root / "data/sift-flow"))) == [
        ".unpacked-SiftFlowDataset.zip",
        "GeoLabels",
        "Images",
        "SemanticLabels",
        "TestSet1.txt",
        "test.txt",
        "trainval.txt",
    ]
    assert any("the published list has 2486" in note for note in report.notes)


def test_the_published_lists(root, made, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/trainval.txt").write_text("\n".join(TRAINVAL))
    (tmp_path / "lists/test.txt").write_text("\n".join(TEST))
    assert siftflow.prepare(source=str(made), lists=str(tmp_path / "lists")).problems == []
    assert lines(root / "data/sift-flow/trainval.txt") == list(TRAINVAL)


def test_without_the_archives_list(root, made):
    (made / "TestSet1.txt").unlink()
    problems = siftflow.prepare(source=str(made)).problems
    assert "no 'data/sift-flow/TestSet1.txt'" in problems
    assert not (made / "trainval.txt").exists()


@pytest.mark.parametrize(
    "kind, label, message",
    [
        (
            "SemanticLabels",
            np.full((43, 47), 34, np.uint8),
            "holds 34 at x=0, y=0 (2021 pixels); expected 1 to 33, or 0 for pixels without a class",
        ),
        ("SemanticLabels", np.full((43, 47), -1, np.int16), "holds -1 at x=0, y=0"),
        ("GeoLabels", np.full((43, 47), 4, np.int16), "expected 1 to 3, or -1 or 0 for pixels"),
        ("GeoLabels", np.full((43, 47), 1.5), "holds 1.5 at x=0, y=0"),
        ("GeoLabels", np.ones((43, 46), np.int16), "is 47x43, its labels are 47x43 and 46x43"),
        ("GeoLabels", np.array([["text"]], object), "expected S to be a matrix of numbers"),
    ],
)
def test_what_is_wrong_is_said(root, made, kind, label, message):
    scipy.io.savemat(str(made / kind / SUBFOLDER / "coast_arnat59.mat"), {"S": label})
    problems = siftflow.prepare(source=str(made)).problems
    assert len(problems) == 1 and "coast_arnat59" in problems[0] and message in problems[0]


def test_missing_labels_are_counted(root, made):
    (made / "GeoLabels" / SUBFOLDER / "coast_arnat59.mat").unlink()
    assert siftflow.prepare(source=str(made)).problems == [
        f"1 of 3 files are missing, the first is 'data/sift-flow/GeoLabels/{SUBFOLDER}/"
        "coast_arnat59.mat'"
    ]


def test_nothing_there(root):
    report = siftflow.prepare()
    assert "no 'data/sift-flow'" in report.problems[0]
    assert "SiftFlowDataset.zip" in report.problems[0]


def test_class_names_in_the_order_of_the_nets_outputs():
    assert len(siftflow.CLASSES) == len(set(siftflow.CLASSES)) == 33
    assert [siftflow.CLASSES[i] for i in (0, 8, 10, 15, 27, 32)] == [
        "awning",
        "cow",
        "desert",
        "moon",
        "sky",
        "window",
    ]
    assert siftflow.GEOMETRIC_CLASSES == ("sky", "horizontal", "vertical")
    assert siftflow.PALETTE.shape == (256, 3)
