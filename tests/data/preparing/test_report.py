"""Preparation: links what is there, says what is missing, does no harm when run again."""

import numpy as np
from PIL import Image

from data import camvid, voc


def make_voc(folder, val=("a", "b", "c")):
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for name in val:
        (folder / "JPEGImages" / (name + ".jpg")).touch()
        (folder / "SegmentationClass" / (name + ".png")).touch()
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(val) + "\n")
    return str(folder)


def make_sbd(folder, train=("b", "d")):
    for name in ("img", "cls"):
        (folder / name).mkdir(parents=True)
    for name in train:
        (folder / "img" / (name + ".jpg")).touch()
        (folder / "cls" / (name + ".mat")).touch()
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    return str(folder)


def test_voc_from_nothing_says_what_to_get(root):
    report = voc.prepare("", "")
    assert len(report.problems) == 2
    assert "PASCAL VOC 2011" in report.problems[0] and "--voc DIR" in report.problems[0]
    assert "--sbd DIR" in report.problems[1]
    assert not list(root.iterdir())


def test_voc_links_and_makes_the_evaluation_list(root, tmp_path, capsys):
    sources = make_voc(tmp_path / "v"), make_sbd(tmp_path / "s")
    for arguments in (sources, ("", ""), sources):  # again without, again with the same
        report = voc.prepare(*arguments)
        assert report.problems == []
        # Validation images that SBD trains on are left out.
        made = root / "data/pascal/VOC2011/ImageSets/Segmentation/seg11valid.txt"
        assert made.read_text().split() == ["a", "c"]
        assert (root / "data/sbdd/dataset/train.txt").exists()
    assert any("lists 2 images; the published scores are of 736" in n for n in report.notes)
    assert report.print() == 0
    assert "note: " in capsys.readouterr().out


def test_voc_missing_files_are_counted_and_the_first_named(root, tmp_path, capsys):
    sources = make_voc(tmp_path / "v"), make_sbd(tmp_path / "s")
    (tmp_path / "s" / "cls" / "d.mat").unlink()
    report = voc.prepare(*sources)
    assert any("1 of 2 files are missing" in p and "d.mat" in p for p in report.problems)
    assert report.print() == 1
    assert "MISSING: " in capsys.readouterr().out


def test_voc_takes_a_list_of_the_users(root, tmp_path):
    (tmp_path / "mine.txt").write_text("c\n")
    report = voc.prepare(
        make_voc(tmp_path / "v"), make_sbd(tmp_path / "s"), str(tmp_path / "mine.txt")
    )
    assert report.problems == []
    assert (tmp_path / "v/ImageSets/Segmentation/seg11valid.txt").read_text() == "c\n"


def test_a_wrong_directory_is_not_linked(root, tmp_path):
    report = voc.prepare(str(tmp_path), "")
    assert "has no JPEGImages, SegmentationClass" in report.problems[0]
    assert not (root / "data").exists()


def test_a_directory_in_place_is_not_replaced(root, tmp_path):
    make_voc(root / "data" / "pascal" / "VOC2011", val=("x",))
    report = voc.prepare(make_voc(tmp_path / "v"), "")
    assert any("directory of its own" in p for p in report.problems)
    assert (root / "data/pascal/VOC2011/JPEGImages/x.jpg").exists()


def make_camvid(folder, highest=11):
    for split in camvid.SPLITS:
        (folder / split).mkdir(parents=True)
        (folder / (split + "annot")).mkdir()
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / split / "a.png")
        label = np.zeros((4, 6), np.uint8)
        label[1, 1] = highest
        Image.fromarray(label).save(folder / (split + "annot") / "a.png")
        (folder / (split + ".txt")).write_text("a\n")
    return str(folder)


def test_camvid_links_and_checks(root, tmp_path):
    source = make_camvid(tmp_path / "c")
    for argument in (source, "", source):
        report = camvid.prepare(argument)
        assert report.problems == []
        assert (root / "data" / "camvid" / "train.txt").exists()
    assert sum("the usual split has" in n for n in report.notes) == 3


def test_camvid_bad_labels_and_images_are_named(root, tmp_path):
    source = make_camvid(tmp_path / "c", highest=12)
    report = camvid.prepare(source)
    assert sum("values up to 12; expected classes 0 to 11" in p for p in report.problems) == 3
    (tmp_path / "c" / "val" / "a.png").write_bytes(b"damaged")
    (tmp_path / "c" / "test" / "a.png").unlink()
    report = camvid.prepare(source)
    assert any("cannot read" in p and "val" in p for p in report.problems)
    assert any("1 of 1 files are missing" in p for p in report.problems)


def test_camvid_in_its_original_form_is_recognised(root, tmp_path):
    (tmp_path / "o" / "LabeledApproved_full").mkdir(parents=True)
    report = camvid.prepare(str(tmp_path / "o"))
    assert "original CamVid with 32 colours" in report.problems[0]
