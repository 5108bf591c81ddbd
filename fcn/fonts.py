"""Fonts for texts in pictures: one that has every letter of the names at hand.

Pillow's own font knows English letters only; a class called Straße or a photo called Käse.jpg would
show boxes.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import Any

from PIL import ImageFont

__all__ = ["drawable", "font_for", "text_width"]

#: Fonts of Linux, macOS and Windows, which Pillow finds by name; those of few scripts first.
SYSTEM = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "msgothic.ttc",
    "malgun.ttf",
)

#: No character: every font shows what it shows of those that it lacks.
NOTHING = "\uffff"


def font_for(size: int, texts: Iterable[str] = ()) -> tuple[Any, bool]:
    """A font of about ``size`` pixels for the texts, and whether it has that size.

    Pillow's own where all is ASCII; else the first of SYSTEM that has every letter, else Pillow's,
    for which `drawable` writes the letters differently. Before Pillow 10.1 its own has one size.
    """
    letters = frozenset("".join(texts))
    own = _own(size)
    if own is None or not all(letter.isascii() for letter in letters):
        for name in SYSTEM:
            font = _system(name, size)
            if font is not None and _has_all(font, letters):
                return font, True
    return (own, True) if own is not None else (ImageFont.load_default(), False)


def drawable(text: str, font: Any) -> str:
    """The text in letters that the font has: without accents, and ? for what is still missing."""
    if text.isascii() or (isinstance(font, ImageFont.FreeTypeFont) and _has_all(font, text)):
        return text
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("×", "x"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()


def text_width(pen: Any, text: str, font: Any) -> float:
    """In pixels; Pillow 8 has no ``font.getlength``, Pillow 10 no ``font.getsize``."""
    measure = getattr(pen, "textlength", None)
    return measure(text, font=font) if measure else pen.textsize(text, font=font)[0]


@functools.lru_cache(maxsize=64)
def _own(size: int) -> Any:
    try:
        return ImageFont.load_default(size)  # Pillow 10.1 and FreeType
    except (TypeError, OSError, ImportError):
        return None


@functools.lru_cache(maxsize=64)
def _system(name: str, size: int) -> Any:
    try:
        return ImageFont.truetype(name, size)
    except (OSError, ImportError):
        return None


def _has_all(font: Any, letters: Iterable[str]) -> bool:
    missing = bytes(font.getmask(NOTHING))
    return all(
        letter.isascii() or bytes(font.getmask(letter)) != missing for letter in set(letters)
    )
