"""What the labels of a dataset hold, counted over all of it."""

from collections import Counter
from typing import Optional

import numpy as np

from data.preparing.colours import IGNORE

__all__ = ["Survey"]


class Survey:
    """Counts pixels and images of each label; ``classes`` None: whatever is there."""

    def __init__(self, classes: Optional[int] = None, names=None) -> None:
        self.classes = classes
        self.names = names if names is not None and len(names) == classes else None
        self.pixels = np.zeros(256, np.int64)
        self.images = np.zeros(256, np.int64)
        self.sizes: Counter = Counter()
        #: Files without any pixel that counts.
        self.empty: list[str] = []

    def add(self, label: np.ndarray, file: str) -> None:
        """Count one label map, uint8 (H, W)."""
        counts = np.bincount(label.ravel(), minlength=256)
        self.pixels += counts
        self.images += counts > 0
        self.sizes[label.shape] += 1
        if counts[IGNORE] == label.size:
            self.empty.append(file)

    @property
    def ignored(self) -> float:
        """The share of pixels that do not count."""
        return float(self.pixels[IGNORE]) / max(1, int(self.pixels.sum()))

    def present(self) -> list[int]:
        """The labels that occur, 255 left out."""
        return [int(label) for label in np.flatnonzero(self.pixels[:IGNORE])]

    def absent(self) -> list[str]:
        """The classes that nothing is labelled as."""
        return [self._title(label) for label in range(self.classes or 0) if not self.pixels[label]]

    def _title(self, label: int) -> str:
        return f"{label} {self.names[label]}" if self.names else f"{label}"

    def size_text(self) -> str:
        """The sizes as width x height."""
        (height, width), count = self.sizes.most_common(1)[0]
        if len(self.sizes) == 1:
            return f"all {width}x{height}"
        return f"{len(self.sizes)} sizes, {count} of {width}x{height}"

    def table(self) -> list[str]:
        """Lines with label, name, pixels, their share and the images they are in."""
        lines = [f"{'label':>6}  {'':20} {'pixels':>14} {'share':>8} {'images':>8}"]
        total = max(1, int(self.pixels.sum()))
        shown = [*range(self.classes), IGNORE] if self.classes else [*self.present(), IGNORE]
        for label in shown:
            name = self.names[label] if self.names and label != IGNORE else ""
            name = "(does not count)" if label == IGNORE else name
            count = int(self.pixels[label])
            lines.append(
                f"{label:>6}  {name[:20]:20} {count:>14} {100 * count / total:>7.2f}% "
                f"{int(self.images[label]):>8}"
            )
        return lines
