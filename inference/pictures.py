"""Pictures for people: the labels laid over the image, and a legend."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["class_shares", "overlay", "with_legend"]

ALPHA = 0.5
MARGIN, SWATCH = 6, 14  # pixels, before scaling


def class_shares(label: np.ndarray) -> list[tuple[int, float]]:
    """(class, fraction of the pixels) of the classes found, the largest first."""
    counts = np.bincount(label.ravel(), minlength=256)
    order = sorted(np.flatnonzero(counts), key=lambda c: (-counts[c], c))
    return [(int(c), counts[c] / label.size) for c in order]


def overlay(
    pixels: np.ndarray, label: np.ndarray, palette: np.ndarray, untouched: int = -1
) -> np.ndarray:
    """RGB pixels half covered by their class's colour; class ``untouched`` stays as it is."""
    mixed = np.empty_like(pixels)
    rows = max(1, (1 << 20) // max(1, pixels.shape[1]))  # in strips: large photos stay cheap
    for top in range(0, pixels.shape[0], rows):
        part, numbers = pixels[top : top + rows], label[top : top + rows]
        colours = palette[numbers].astype(np.uint16)
        # ALPHA is a half, so the mean is exact in integers, rounded down as by truncation.
        blend = ((part + colours) >> 1).astype(np.uint8)
        keep = numbers == untouched
        blend[keep] = part[keep]
        mixed[top : top + rows] = blend
    return mixed


def with_legend(picture: np.ndarray, found: list[tuple[int, float]], names, palette) -> Image.Image:
    """The picture with a strip below it that names the classes found, their colours and shares."""
    height, width = picture.shape[:2]
    # The built-in font has one size in older Pillow; a whole factor fits it to large images.
    factor = max(1, round(width / 800))
    strip = _legend(max(width // factor, 160), found, names, palette)
    strip = strip.resize((strip.width * factor, strip.height * factor), Image.NEAREST)
    canvas = Image.new("RGB", (max(width, strip.width), height + strip.height), (255, 255, 255))
    canvas.paste(Image.fromarray(picture), (0, 0))
    canvas.paste(strip, (0, height))
    return canvas


def _legend(width: int, found, names, palette) -> Image.Image:
    font = ImageFont.load_default()
    texts = [f"{names[c]} {share:.1%}" for c, share in found]
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    cells = [SWATCH + MARGIN + int(_text_width(probe, text, font)) + 2 * MARGIN for text in texts]
    places, x, y = [], MARGIN, MARGIN
    for cell in cells:
        if x > MARGIN and x + cell > width:
            x, y = MARGIN, y + SWATCH + MARGIN
        places.append((x, y))
        x += cell
    strip = Image.new("RGB", (width, y + SWATCH + MARGIN), (255, 255, 255))
    pen = ImageDraw.Draw(strip)
    for (x, y), (c, _), text in zip(places, found, texts):
        colour = tuple(int(v) for v in palette[c])
        pen.rectangle((x, y, x + SWATCH, y + SWATCH), fill=colour, outline=(90, 90, 90))
        pen.text((x + SWATCH + MARGIN, y + 1), text, fill=(20, 20, 20), font=font)
    return strip


def _text_width(pen, text: str, font) -> float:
    """In pixels; Pillow 8 has no ``font.getlength``, Pillow 10 no ``font.getsize``."""
    measure = getattr(pen, "textlength", None)
    return measure(text, font=font) if measure else pen.textsize(text, font=font)[0]
