"""VOC and SBD from their archives."""

import os

import numpy as np
import pytest
import scipy.io
import true_files
from PIL import Image

from data import voc


@pytest.fixture
def archives(tmp_path):
    """VOC 2011 and SBD, small, in archives of the official names and layouts."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    true_files.tar_of(
        true_files.voc_tree(tmp_path / "v11"),
        folder / "VOCtrainval_25-May-2011.tar",
        "TrainVal/VOCdevkit/VOC2011",
    )
    true_files.tar_of(
        true_files.sbd_tree(tmp_path / "sbd"),
        folder / "benchmark.tgz",
        "benchmark_RELEASE/dataset",
        "w:gz",
    )
    return folder


def test_voc_and_sbd(root, archives, capsys):
    for again in (False, True):
        report = voc.prepare("", "", archives=str(archives))
        assert report.problems == []
        new = [line for line in report.done if "of them new" in line]
        assert len(new) == 2 and all((" 0 of them new" in line) == again for line in new)
    assert "unpacking benchmark.tgz" in capsys.readouterr().out
    lists = root / "data/pascal/VOC2011/ImageSets/Segmentation"
    assert (lists / "seg11valid.txt").read_text() == "2007_000033\n"
    assert sorted(os.listdir(str(root / "data/sbdd/dataset"))) == [
        ".unpacked-benchmark.tgz",
        "cls",
        "img",
        "inst",
        "train.txt",
        "val.txt",
    ]
    assert any("VOC 2012" in note for note in report.notes)
    # The archives can go afterwards.
    for name in os.listdir(str(archives)):
        (archives / name).unlink()
    assert voc.prepare("", "", archives=str(archives)).problems == []
    assert voc.prepare("", "").problems == []


def test_voc_without_an_archive_says_which_and_from_where(root, archives):
    (archives / "benchmark.tgz").unlink()
    report = voc.prepare("", "", archives=str(archives))
    assert len(report.problems) == 2
    assert "no 'benchmark.tgz' in" in report.problems[0] and "Hariharan" in report.problems[0]
    assert "seg11valid.txt' is not there; it is made from val.txt and SBD's" in report.problems[1]


def test_voc_2012_beside_2011(root, archives, tmp_path):
    true_files.tar_of(
        true_files.voc_tree(tmp_path / "v12", val=("2008_000002", "2012_000001")),
        archives / "VOCtrainval_11-May-2012.tar",
        "VOCdevkit/VOC2012",
    )
    report = voc.prepare("", "", archives=str(archives))
    assert report.problems == []
    made = root / "data/pascal/VOC2012/ImageSets/Segmentation/seg12valid.txt"
    assert made.read_text() == "2012_000001\n"
    report = voc.prepare("", "", archives=str(archives))
    assert any(
        "VOCtrainval_11-May-2012.tar" in line and "0 of them new" in line for line in report.done
    )


def test_a_damaged_archive_is_one_problem(root, archives):
    content = (archives / "benchmark.tgz").read_bytes()
    (archives / "benchmark.tgz").write_bytes(content[: len(content) // 2])
    report = voc.prepare("", "", archives=str(archives))
    bad = [problem for problem in report.problems if "benchmark.tgz' is damaged" in problem]
    assert len(bad) == 1 and "82b4d87ceb2ed10f6038a1cba92111cb" in bad[0]
    assert not (root / "data/sbdd/dataset").exists()


def test_sbd_as_png(root, archives):
    report = voc.prepare("", "", archives=str(archives), png=True)
    assert report.problems == []
    folder = root / "data/sbdd/dataset"
    for kind in ("cls", "inst"):
        for name in ("2008_000002", "2009_000001"):
            with Image.open(folder / kind / (name + ".png")) as image:
                assert image.mode == "P"
                got = np.array(image)
            mat = scipy.io.loadmat(str(folder / kind / (name + ".mat")))
            np.testing.assert_array_equal(got, mat["GT" + kind][0]["Segmentation"][0])
    (folder / "cls" / "2008_000002.png").unlink()
    (folder / "cls" / "2008_000002.mat").write_bytes(b"damaged")
    report = voc.prepare("", "", png=True)
    assert any("GTcls.Segmentation" in p and "2008_000002.mat" in p for p in report.problems)
