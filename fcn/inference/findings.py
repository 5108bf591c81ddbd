"""What a label map says of an image: its classes, and whether it names anything at all."""

from collections.abc import Sequence
from typing import Callable, NamedTuple

import numpy as np

__all__ = ["Finding", "findings", "mostly_background"]

#: An image is mostly background where background has more than this share of it, and where no other
#: class is certain, by its pixels' mean probability, on pixels enough to be a thing. Measured with
#: voc-fcn4s-lite0: of pictures of what it does not know (moon, coins, grass, gravel, a rocket, …)
#: classes have 0.29 to 0.57, of small things that it names rightly mostly 0.65 to 0.94.
MOST, CERTAIN, PIXELS = 0.8, 0.6, 64


class Finding(NamedTuple):
    """A class that an image has. ``share``: of the image's pixels."""

    number: int
    name: str
    pixels: int
    share: float


def findings(label: np.ndarray, names: Sequence[str]) -> list[Finding]:
    """The classes of a label map, the largest first."""
    counts = np.bincount(label.ravel(), minlength=256)
    order = sorted(np.flatnonzero(counts), key=lambda c: (-counts[c], c))
    return [Finding(int(c), names[int(c)], int(counts[c]), counts[c] / label.size) for c in order]


def mostly_background(
    label: np.ndarray, found: list[Finding], certainty: Callable[[np.ndarray], float]
) -> bool:
    """Whether an image shows nothing that the net knows, as far as it can tell.

    A net has no class for what it does not know: there it scatters specks of whatever is nearest,
    without certainty. A small thing that it knows is certain. ``certainty``: the mean probability
    of the best class over chosen pixels, bool (H, W) as the label map.
    """
    if found[0].name != "background" or found[0].share <= MOST:
        return False
    return not any(
        finding.pixels >= PIXELS and certainty(label == finding.number) >= CERTAIN
        for finding in found[1:]
    )
