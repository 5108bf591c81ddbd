"""Whether pictures go to a GPU as bytes: with this repository's engine, where there is a GPU."""

from typing import Any, Optional

__all__ = ["levels_of"]


def levels_of(streams) -> list[Optional[Any]]:
    """For each stream a `caffe.levels.Levels`, or None where its numbers go up as they are.

    BVLC Caffe takes numbers alone, and on the CPU there is no way to go.
    """
    try:
        from caffe.levels import Levels
    except ImportError:
        return [None] * len(streams)
    return [Levels() if stream.levels and Levels.worthwhile() else None for stream in streams]
