"""Fonts for the letters at hand, and letters for the font at hand."""

import pytest
from PIL import Image, ImageDraw, ImageFont

from fcn import fonts


@pytest.fixture
def no_system_fonts(monkeypatch):
    monkeypatch.setattr(fonts, "SYSTEM", ())


def test_english_is_drawn_by_the_font_that_pillow_brings(no_system_fonts):
    font, _ = fonts.font_for(12, ["person 45.0%"])
    assert fonts.drawable("person 45.0%", font) == "person 45.0%"


def test_letters_that_no_font_has_are_written_differently(no_system_fonts):
    font, _ = fonts.font_for(12, ["Käse ß 3×3 木"])
    assert fonts.drawable("Käse ß 3×3 木", font) == "Kase ss 3x3 ?"


def test_a_system_font_draws_every_letter():
    font, of_size = fonts.font_for(12, ["Straße"])
    if not of_size or not isinstance(font, ImageFont.FreeTypeFont):
        pytest.skip("this Pillow has no fonts of any size")
    if fonts.drawable("Straße", font) != "Straße":
        pytest.skip("no font of this system has ß")
    missing = bytes(font.getmask(fonts.NOTHING))
    assert bytes(font.getmask("ß")) != missing
    assert fonts.text_width(ImageDraw.Draw(Image.new("L", (1, 1))), "Straße", font) > 20
