"""One picture of many overlays."""

import numpy as np
import pytest
from PIL import Image

from fcn.inference import contact_sheet
from fcn.inference.contact_sheet import Sheet
from fcn.inference.findings import Finding

FOUND = [Finding(1, "cat", 70, 0.7), Finding(0, "background", 30, 0.3)]


@pytest.mark.slow
def test_cells_stand_in_rows_with_small_pictures(tmp_path):
    sheet = Sheet(str(tmp_path / "new" / "sheet.png"))
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)):
        sheet.add(
            "a/very/long/path/" * 9 + "photo.jpg",
            Image.new("RGB", (900, 600), colour),
            FOUND,
            False,
        )
    assert sheet.save().startswith("contact sheet of 5 images: ")
    made = np.array(Image.open(str(tmp_path / "new" / "sheet.png")))
    width, height = 3 * (300 + 12) + 12, 2 * (225 + 39 + 12) + 12
    assert made.shape == (height, width, 3)
    assert tuple(made[200, 20]) == (255, 0, 0) and tuple(made[200, 340]) == (0, 255, 0)
    assert tuple(made[480, 20]) == (255, 255, 0)
    assert (made[240:260, 12:312] < 100).any()  # the name, kept within its cell
    assert (made[225:276, 314:322] == 255).all()


def test_more_than_fit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "MOST", 2)
    sheet = Sheet(str(tmp_path / "sheet.jpg"))
    for _ in range(5):
        sheet.add("x", Image.new("RGB", (30, 20)), FOUND, True)
    assert sheet.save().endswith("; 3 more did not fit")
    with Image.open(str(tmp_path / "sheet.jpg")) as image:
        assert image.format == "JPEG"


def test_nothing_labelled_writes_nothing(tmp_path):
    assert Sheet(str(tmp_path / "s.png")).save() == "no contact sheet: nothing was labelled"
    assert not (tmp_path / "s.png").exists()
