"""The execution plan: what a forward pass may fuse without changing what anyone can observe."""

from __future__ import annotations

from caffe.wiring import Graph

__all__ = ["Plan"]


class Plan:
    """Groups of layers that run as one step.  Observers turn a group off (see ``prepare``)."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def prepare(self, first: int, last: int) -> None:
        """Called before a forward pass over layers ``first`` to ``last``."""

    def forward_group(self, k: int, last: int) -> int:
        """Run the group that starts at layer ``k``; the index of the next layer to run, ``k``
        itself where no group starts there."""
        return k
