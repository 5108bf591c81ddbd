"""What the masks of a folder mean, found from the masks: class numbers, grey values or colours."""

import os
from typing import NamedTuple, Optional

import numpy as np

from data.preparing import masks as mask_files
from data.preparing.colours import IGNORE
from fcn.atomic import write_text
from segdata.errors import DataError
from segdata.images import open_image

__all__ = ["Guess", "guess", "write_palette"]

#: More than so many different colours or scattered grey values are no classes.
MOST = 64
#: Class numbers of more classes than that are smooth grey values.
MOST_NUMBERS = 200
#: Numbers below the highest that may be missing, and it is still a number of classes.
GAPS = 8
#: The colour of what does not count in PASCAL VOC's masks.
VOID = (224, 224, 192)


class Guess(NamedTuple):
    """kind: "numbers" (255 does not count), "values" (`values[i]` is class i) or "colours".

    colours: (R, G, B) by class; palette: what palette files themselves show by class, where they
    agree. void: a colour that does not count. names: of the classes as far as the masks tell them.
    text: the finding in words.
    """

    kind: str
    values: tuple = ()
    colours: tuple = ()
    void: Optional[tuple] = None
    palette: tuple = ()
    names: Optional[tuple] = None
    text: str = ""


def guess(paths: list[str]) -> Guess:
    """Look at all masks; ValueError says why their meaning cannot be told.

    Files that cannot be read, and JPEGs, do not count: whoever converts the masks names them.
    """
    seen = _Seen()
    for path in paths:
        try:
            if not mask_files.suspicious(path):
                seen.add(path)
        except (DataError, OSError, ValueError):
            continue
    if not seen.files:
        raise ValueError(
            "none of the masks can be read as PNG, TIFF, BMP or another format that keeps values "
            "(JPEG does not)"
        )
    return seen.judge()


class _Seen:
    def __init__(self) -> None:
        self.files = 0
        self._values = np.zeros(1 << 16, bool)
        #: Colours, R·65536 + G·256 + B; None until a mask has one.
        self._colours: Optional[np.ndarray] = None
        self._greys: set[int] = set()
        #: Of palette files: the colour of each number, and the colours as they look.
        self._palette: dict[int, tuple] = {}
        self._of_palettes: set[int] = set()
        self._palettes_agree = True

    def add(self, path: str) -> None:
        with open_image(path, "mask") as image:
            if image.mode == "P":
                self._add_palette(image)
            elif image.mode in ("1", "L", "I", "I;16", "I;16B"):
                self._add_grey(
                    np.asarray(image).astype(np.int64) * (255 if image.mode == "1" else 1)
                )
            else:
                pixels = np.asarray(image.convert("RGB"))
                if (pixels == pixels[..., :1]).all():
                    self._add_grey(pixels[..., 0].astype(np.int64))
                else:
                    self._add_colours(pixels)
        self.files += 1

    def _add_palette(self, image) -> None:
        numbers = np.asarray(image)
        there = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256))
        self._values[there] = True
        stored = np.array(image.getpalette() or [], np.uint8)[: 3 * 256].reshape(-1, 3)
        for number in (int(n) for n in there):
            if number < len(stored) and number != IGNORE:
                colour = tuple(int(v) for v in stored[number])
                if self._palette.setdefault(number, colour) != colour:
                    self._palettes_agree = False
        self._of_palettes.update(int(v) for v in np.unique(_codes(image.convert("RGB"))))

    def _add_grey(self, values: np.ndarray) -> None:
        if values.min() < 0 or values.max() >= len(self._values):
            raise ValueError("values beyond 16 bits")
        self._values[values.ravel()] = True
        self._greys.update(int(v) for v in np.unique(values))

    def _add_colours(self, pixels: np.ndarray) -> None:
        if self._colours is None:
            self._colours = np.zeros(1 << 24, bool)
        self._colours[_codes(pixels).ravel()] = True

    def judge(self) -> Guess:
        if self._colours is not None or not self._palettes_agree:
            return self._judge_colours()
        values = [int(v) for v in np.flatnonzero(self._values)]
        classes = [v for v in values if v != IGNORE]
        if values == [0, IGNORE] and not self._palette:
            return Guess(
                "values",
                values=(0, 255),
                names=("background", "foreground"),
                text="black and white: 0 is background, 255 foreground",
            )
        if classes and classes[-1] < len(classes) + GAPS and len(classes) <= MOST_NUMBERS:
            palette = tuple(self._palette.get(i, (0, 0, 0)) for i in range(classes[-1] + 1))
            return Guess(
                "numbers",
                palette=palette if self._palette else (),
                text=f"class numbers from {classes[0]} to {classes[-1]}"
                + (", 255 does not count" if IGNORE in values else ""),
            )
        if len(values) <= MOST:
            return Guess(
                "values",
                values=tuple(values),
                names=tuple(f"value {v}" for v in values),
                text=f"{len(values)} grey values: {', '.join(map(str, values))}",
            )
        raise ValueError(
            f"the masks hold {len(values)} different values, from {values[0]} to {values[-1]}: no "
            "class numbers, and too many to be one grey value a class. Are they masks, saved "
            "without smooth edges?"
        )

    def _judge_colours(self) -> Guess:
        found = set(self._of_palettes)
        if self._colours is not None:
            found |= {int(v) for v in np.flatnonzero(self._colours)}
        found |= {v * 0x010101 for v in self._greys if v < 256}
        colours = [(code >> 16, code >> 8 & 255, code & 255) for code in sorted(found)]
        if len(colours) > MOST:
            raise ValueError(
                f"the masks hold {len(colours)} different colours, more than {MOST}: expected one "
                "colour a class, without smooth edges or compression; --rgb FILE names the colours"
            )
        void = VOID if VOID in colours and len(colours) > 2 else None
        colours = [colour for colour in colours if colour != void]
        names = ["background" if c == (0, 0, 0) else _name(c) for c in colours]
        return Guess(
            "colours",
            colours=tuple(colours),
            void=void,
            names=tuple(names),
            text=f"{len(colours)} colours: {', '.join(names)}"
            + (f"; {_name(void)} does not count" if void else ""),
        )


def _codes(pixels) -> np.ndarray:
    """Each colour as one number."""
    return np.asarray(pixels).astype(np.uint32) @ np.array((65536, 256, 1), np.uint32)


def _name(colour: tuple) -> str:
    return "colour {:02x}{:02x}{:02x}".format(*colour)


def write_palette(path: str, found: Guess, names: list[str]) -> None:
    """Write the colours as a palette file, which `colours.read_colours` reads: to be edited."""
    lines = [f"{r} {g} {b} {name}\n" for (r, g, b), name in zip(found.colours, names)]
    if found.void:
        lines.append("{} {} {} void\n".format(*found.void))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_text(path, "".join(lines))
