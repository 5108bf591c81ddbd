"""Positions along an axis of a map, and which of an output's depend on some of its input's."""

from __future__ import annotations

__all__ = ["Interval", "dependent"]

Interval = tuple[int, int]  # first, end


def dependent(inside: Interval, out: int, extent: int, stride: int, pad: int) -> Interval:
    """The outputs of one axis that see any position of the interval ``inside``.

    Args:
        inside: the image-dependent positions of the input; not empty.
        out: the number of outputs.
        extent: how far one kernel reaches, with its holes.
        stride, pad: of the kernel.

    >>> dependent((0, 500), 698, extent=3, stride=1, pad=100)
    (98, 600)
    >>> dependent((97, 601), 349, extent=2, stride=2, pad=0)
    (48, 301)
    """
    first = max(0, -(-(inside[0] + pad - extent + 1) // stride))
    end = min(out, (inside[1] - 1 + pad) // stride + 1)
    return first, max(first, end)
