"""Which part of an output depends on the image: interval arithmetic for convolution and pooling.

FCN pads its input by 100 zeros.  Far from the image every feature is then a function of the
weights alone: with the same weights it has the same value in every forward pass.  These functions
follow the part that can change, the *window*, from layer to layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from caffe._intervals import Interval, dependent

__all__ = ["Block", "Interval", "Window", "blocks_of", "dependent", "whole"]

Block = tuple[int, int, int, int]  # first row, end, first column, end


class Window(NamedTuple):
    """The blocks that make up an output, the image-dependent one first, for one bottom shape."""

    bottom: tuple[int, ...]
    blocks: tuple[Block, ...]

    def fits(self, bottom: Sequence[int]) -> bool:
        return self.bottom == tuple(bottom)


def blocks_of(rows: Interval, columns: Interval, height: int, width: int) -> tuple[Block, ...]:
    """The window, then the bands above, below, left and right of it, without empty ones."""
    (r0, r1), (c0, c1) = rows, columns
    candidates = (
        (r0, r1, c0, c1),
        (0, r0, 0, width),
        (r1, height, 0, width),
        (r0, r1, 0, c0),
        (r0, r1, c1, width),
    )
    return tuple(b for b in candidates if b[0] < b[1] and b[2] < b[3])


def whole(rows: Interval, columns: Interval, height: int, width: int) -> bool:
    """True where the window is empty or leaves too little out to be worth keeping."""
    inside = (rows[1] - rows[0]) * (columns[1] - columns[0])
    return inside == 0 or inside > 0.95 * height * width
