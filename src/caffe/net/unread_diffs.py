"""Gradients of an earlier backward pass that nobody can ask for any more.

Caffe overwrites a blob's diff where it lies.  Here a layer's result is new memory that takes the
place of the old, which until then is held for nothing: for a net the size of FCN-8s half a
gigabyte.  So what a backward pass is going to overwrite, unread, is let go before it starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from caffe.blob import Blob
from caffe.layer import Need
from caffe.net.wiring import Graph

__all__ = ["UnreadDiffs"]

_LARGE = 1 << 16  # numbers of a blob that is worth it

#: Layers whose backward pass writes the diff of every bottom that needs one, and reads none.
_OVERWRITE = frozenset(
    (
        "BatchNorm",
        "Concat",
        "Convolution",
        "Crop",
        "Deconvolution",
        "Dropout",
        "Eltwise",
        "InnerProduct",
        "LRN",
        "PReLU",
        "Pooling",
        "ReLU",
        "Scale",
        "SigmoidCrossEntropyLoss",
        "SoftmaxWithLoss",
        "Split",
    )
)


class UnreadDiffs:
    """Finds them in one net, whose layers need the gradients ``needs``."""

    def __init__(self, graph: Graph, needs: Sequence[Need]) -> None:
        self._graph = graph
        self._needs = needs
        self._found: dict[tuple[int, int], list[Blob]] = {}

    def release(self, i: int, j: int) -> None:
        """Called before the backward passes of layers ``i`` down to ``j``: make them zero, which
        takes no memory.  A diff of which a user holds an array stays."""
        blobs = self._found.get((i, j))
        if blobs is None:
            blobs = self._found[i, j] = self._overwritten(i, j)
        for blob in blobs:
            if blob.count >= _LARGE and not blob.diff_storage.leases:
                blob.diff_storage.zero(keep_memory=True)

    def _overwritten(self, i: int, j: int) -> list[Blob]:
        """The blobs whose diffs these passes write before they read them."""
        graph, found = self._graph, []
        seen: set[int] = set()
        for k in range(i, j - 1, -1):
            if not graph.layer_needs_backward[k]:
                continue
            seen.update(graph.tops[k])
            for b, needed in zip(graph.bottoms[k], self._needs[k].bottoms):
                if needed and b not in seen and graph.layers[k].type in _OVERWRITE:
                    found.append(graph.blobs[b])
                seen.add(b)
        return found
