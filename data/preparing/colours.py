"""Masks in colours: which colour is which class, and back to class numbers."""

import numpy as np

from fcn.palette import with_colours

__all__ = ["IGNORE", "ColourMap", "read_colours"]

#: The label of pixels that have no class.
IGNORE = 255

#: What stands for colours without a label, in the inside of a ColourMap.
_NONE = 254


class ColourMap:
    """Colours (R, G, B) → labels, for whole masks at once."""

    def __init__(self, labels: dict[tuple[int, int, int], int]) -> None:
        self._labels = np.full(1 << 24, _NONE, np.uint8)
        for (red, green, blue), label in labels.items():
            self._labels[red << 16 | green << 8 | blue] = label

    def __call__(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels, uint8 (H, W), of RGB uint8 (H, W, 3), and where the colour has none, bool."""
        colour = mask.astype(np.uint32)
        labels = self._labels[colour[..., 0] << 16 | colour[..., 1] << 8 | colour[..., 2]]
        return labels, labels == _NONE


def read_colours(path: str) -> tuple[dict[tuple[int, int, int], int], list[str], np.ndarray]:
    """A palette file: colour → label, the names of the classes, a palette (256, 3).

    A line is ``R G B [name]``, in the order of the classes from 0; # begins a comment.  Colours
    named void, ignore, ignored or unlabelled are no classes: they become 255.  Several lines with
    one name are one class.  ValueError names file and line.
    """
    labels: dict[tuple[int, int, int], int] = {}
    names: list[str] = []
    colours: list[tuple[int, int, int]] = []
    ignored = None
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split("#")[0].replace(",", " ").split()
            if not fields:
                continue
            try:
                colour = tuple(int(field) for field in fields[:3])
            except ValueError:
                colour = ()
            if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
                raise ValueError(
                    f"'{path}', line {number}: expected 'R G B name' with 0 to 255; "
                    f"received {line.strip()!r}"
                )
            if colour in labels:
                raise ValueError(f"'{path}', line {number}: the colour {colour} is there twice")
            name = " ".join(fields[3:])
            if name.lower() in ("void", "ignore", "ignored", "unlabelled", "unlabeled"):
                labels[colour] = IGNORE
                ignored = ignored or colour
                continue
            name = name or f"class {len(names)}"
            if name not in names:
                names.append(name)
                colours.append(colour)
            labels[colour] = names.index(name)
    if not 1 <= len(names) < _NONE:
        raise ValueError(f"'{path}' names {len(names)} classes; expected 1 to {_NONE - 1}")
    palette = with_colours(colours, ignored) if ignored else with_colours(colours)
    return labels, names, palette
