"""One picture of many labelled images: small overlays in rows, with names and classes."""

import math
import os
from typing import Any

from PIL import Image, ImageDraw

from fcn.fonts import drawable, font_for, text_width
from fcn.inference.findings import Finding
from fcn.palette import save_atomic

__all__ = ["Sheet"]

#: Pixels of a cell's picture, of its text, and between cells.
WIDTH, HEIGHT, TEXT, GAP = 300, 225, 13, 12
#: Cells of a sheet; 50 rows of 6 are 14,000 pixels, near what a JPEG may have.
MOST = 300


class Sheet:
    """Collects overlays, each reduced at once; `save` arranges them."""

    def __init__(self, path: str) -> None:
        self.path, self.left_out = path, 0
        self.cells: list[tuple[Image.Image, str, str]] = []

    def add(self, name: str, picture: Any, found: list[Finding], nothing: bool) -> None:
        """One labelled image; of more than MOST the rest is counted and left out."""
        if len(self.cells) >= MOST:
            self.left_out += 1
            return
        small = picture.copy()
        small.thumbnail((WIDTH, HEIGHT), Image.BICUBIC)
        shown = [f"{one.name} {one.share:.0%}" for one in found if one.share >= 0.01][:4]
        self.cells.append((small, name, "mostly background" if nothing else ", ".join(shown)))

    def save(self) -> str:
        """Write the sheet; returns the line to print."""
        if not self.cells:
            return "no contact sheet: nothing was labelled"
        columns = min(6, max(1, math.ceil(math.sqrt(len(self.cells)))))
        rows = math.ceil(len(self.cells) / columns)
        cell = HEIGHT + 3 * TEXT + GAP
        size = columns * (WIDTH + GAP) + GAP, rows * cell + GAP
        canvas = Image.new("RGB", size, (255, 255, 255))
        pen = ImageDraw.Draw(canvas)
        font, _ = font_for(TEXT, [name + classes for _, name, classes in self.cells])
        for number, (picture, name, classes) in enumerate(self.cells):
            x = GAP + number % columns * (WIDTH + GAP)
            y = GAP + number // columns * cell
            canvas.paste(picture, (x + (WIDTH - picture.width) // 2, y + HEIGHT - picture.height))
            # Of a long path the end tells images apart.
            pen.text((x, y + HEIGHT + 2), _fit(pen, name, font, True), fill=(20, 20, 20), font=font)
            low = y + HEIGHT + TEXT + 5
            pen.text((x, low), _fit(pen, classes, font, False), fill=(110, 110, 110), font=font)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        kind = "PNG" if self.path.lower().endswith(".png") else "JPEG"
        save_atomic(canvas, self.path, kind, **({} if kind == "PNG" else {"quality": 90}))
        more = f"; {self.left_out} more did not fit" if self.left_out else ""
        return f"contact sheet of {len(self.cells)} images: {self.path}{more}"


def _fit(pen: Any, text: str, font: Any, from_the_end: bool) -> str:
    short = text = drawable(text, font)
    while short and text_width(pen, short + "...", font) > WIDTH:
        short = short[1:] if from_the_end else short[:-1]
    if short == text:
        return text
    return "..." + short if from_the_end else short + "..."
