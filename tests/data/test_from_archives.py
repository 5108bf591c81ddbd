"""The datasets from their archives as downloaded: VOC, SBD, PASCAL-Context, CamVid."""

import numpy as np
import pytest
import true_files
from PIL import Image

from data import camvid
from data.preparing import camvid_original
from data.preparing.report import Report

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


def test_camvid_labels_that_are_none(root, stills, tmp_path):
    downloads, _ = stills
    Image.fromarray(np.full((720, 960, 3), 7, np.uint8)).save(
        tmp_path / "source" / "labels" / "0006R0_f00930_L.png"
    )
    true_files.zip_of(tmp_path / "source" / "labels", downloads / "LabeledApproved_full.zip")
    report = camvid.prepare(archives=str(downloads))
    assert any("0006R0_f00930_L.png" in p and "(7, 7, 7) at x=0, y=0" in p for p in report.problems)


def test_a_folder_of_archives_that_is_none(root, tmp_path):
    report = Report()
    camvid._unpack(str(tmp_path / "none"), report)
    assert "no CamVid in" in report.problems[0]
