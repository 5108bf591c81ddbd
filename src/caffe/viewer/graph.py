"""Boxes and arrows: a layer is one box with the layers that work in place on its top."""

from __future__ import annotations

from dataclasses import dataclass, field

from caffe.viewer.facts import Facts

__all__ = ["Box", "Edge", "boxes"]


@dataclass
class Box:
    """Layers that are drawn as one."""

    layers: list[Facts] = field(default_factory=list)


@dataclass
class Edge:
    """An arrow between two boxes, by number. ``size_only``: a Crop's second bottom."""

    source: int
    target: int
    blob: str
    size_only: bool = False


def boxes(rows: list[Facts]) -> tuple[list[Box], list[Edge]]:
    """The boxes in the order of the net, and the arrows, which all point to later boxes."""
    made: list[Box] = []
    edges: list[Edge] = []
    writer: dict[str, int] = {}  # of each blob, the box that wrote it last
    readers: dict[str, int] = {}  # of each blob, how many layers have read it since
    for row in rows:
        host = writer.get(row.bottoms[0]) if row.in_place and len(row.bottoms) == 1 else None
        # Whoever read the blob before stands between.
        if host is not None and not readers.get(row.bottoms[0]):
            made[host].layers.append(row)
            continue
        number = len(made)
        made.append(Box([row]))
        for i, blob in enumerate(row.bottoms):
            if blob in writer:
                size_only = row.type == "Crop" and i == 1
                edges.append(Edge(writer[blob], number, blob, size_only))
                readers[blob] = readers.get(blob, 0) + 1
        for blob in row.tops:
            writer[blob], readers[blob] = number, 0
    return made, edges
