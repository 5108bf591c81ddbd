"""A catalog experiment with its weights, ready to label images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.engine import all_finite, argmax, forward
from fcn.geometry.fields import geometry, memory, widest
from fcn.geometry.ops import InferenceError, read_ops
from fcn.inference import tiles
from fcn.inference.memory import available, resident, text
from fcn.weights.load import load_weights

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

__all__ = ["Model", "See", "photo_input"]

#: What is shown scores: the head's number, rows and columns of the image, and (classes, h, w).
See = Callable[[int, slice, slice, np.ndarray], None]

#: Of the free memory, what an image may take; the rest is for what cannot be foreseen.
USABLE = 0.8
#: What a pass takes beside its blobs, for the transforms of fast convolutions and for blocks of
#: memory that tiles of another shape leave: measured, 1.14 to 1.35 of the blobs.
SCRATCH = 1.4


def photo_input(experiment: Experiment) -> Any:
    """The one image blob of a row of fcn/catalog; InferenceError if it is not that of a photo."""
    inputs, read = experiment.dataset.inputs, experiment.dataset.reads
    if not experiment.dataset.photo:
        needed = read if len(read) == len(inputs) else [blob.blob for blob in inputs]
        raise InferenceError(
            f"{experiment.name} reads {' and '.join(needed)}: a photo alone will "
            "not do; score.py reads them from the dataset's files"
        )
    return inputs[0]


class Model:
    """A net in the TEST phase that turns RGB pixels into class numbers."""

    #: Its scores are no probabilities yet: softmax makes them that.
    normalized = False

    def __init__(self, deploy: str, weights: str, mean: Sequence[float], *scores: str) -> None:
        """``scores``: the blobs of its heads, "score" if none is named."""
        self.net = caffe.Net(deploy, caffe.TEST)
        load_weights(self.net, weights)
        self.mean = np.array(mean, np.float32)
        self.input = self.net.inputs[0]
        self.scores = scores or ("score",)
        description = caffe_pb2.NetParameter()
        with open(deploy, encoding="utf-8") as lines:
            text_format.Merge(lines.read(), description)
        self.ops = read_ops(description)
        # Of several heads a tile must serve all.
        self.geometries: Any = tuple(
            widest(geometry(self.ops, blob, axis) for blob in self.scores) for axis in (0, 1)
        )

    @classmethod
    def from_catalog(cls, name: str, weights: str) -> Model:
        """The experiment ``name`` of fcn/catalog; InferenceError if it needs more than a photo."""
        experiment = catalog.experiment(name)
        blob = photo_input(experiment)
        heads = ["score" + output.suffix for output in experiment.dataset.outputs]
        return cls(catalog.net_path(name, "deploy"), weights, blob.mean, *heads)

    def memory(self, height: int, width: int) -> int:
        """Bytes that a forward pass takes, the weights not counted."""
        # Only our engine says what it is.
        return memory(self.ops, height, width, unrolled=not hasattr(caffe, "__engine__"))

    def plan(
        self,
        height: int,
        width: int,
        gpu: Optional[int] = None,
        limit: Optional[int] = None,
        beside: int = 0,
    ) -> list[tiles.Tile]:
        """One tile, the image, if it fits into the free memory; or several.

        ``limit``: bytes that the whole program may take, on the GPU or on the host; ``beside``:
        bytes on the host that are needed for other things than the pass. Raises InferenceError if
        not even small tiles fit.
        """
        needed = self.memory(height, width)
        budget = self._budget(needed, gpu, limit, beside)
        result = tiles.plan(height, width, self.geometries, self.memory, budget)
        if result is None:
            size = [
                min(length, tiles.smallest(g))
                for length, g in zip((height, width), self.geometries)
            ]
            raise InferenceError(
                f"an image of {width}x{height} takes {text(needed)}, and its smallest exact tiles "
                f"of {size[1]}x{size[0]} take {text(self.memory(*size))} each, but only "
                f"{text(budget)} are free; free some memory or make the image smaller"
            )
        return result

    def at_once(
        self,
        height: int,
        width: int,
        most: int,
        gpu: Optional[int] = None,
        limit: Optional[int] = None,
        beside: int = 0,
    ) -> int:
        """How many images of one size may pass together, 1 to ``most``; see `plan`."""
        needed = self.memory(height, width)
        return max(1, min(most, self._budget(needed, gpu, limit, beside * most) // needed))

    def _budget(self, needed: int, gpu: Optional[int], limit: Optional[int], beside: int) -> int:
        """Bytes that blobs may take."""
        free = available(gpu)
        if free is None and limit is None:
            raise InferenceError(
                f"cannot tell how much memory is free, and the image needs "
                f"{text(needed)}; say --memory GB"
            )
        budget = limit if limit else int((free or 0) * USABLE)
        if gpu is None:
            budget -= beside + (resident() if limit else 0)
        return max(0, int(budget / SCRATCH))

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The first head's scores of RGB pixels, uint8 (H, W, 3): float32 (classes, H, W).

        They are the blob's own.
        """
        self._forward(pixels)
        return self.net.blobs[self.scores[0]].data[0]

    def _forward(self, *images: np.ndarray) -> None:
        """One pass over images of one size."""
        height, width = images[0].shape[:2]
        blob = self.net.blobs[self.input]
        blob.reshape(len(images), 3, height, width)
        for pixels, data in zip(images, blob.data):
            np.subtract(pixels[:, :, ::-1].transpose(2, 0, 1), self.mean[:, None, None], out=data)
        forward(self.net)

    def _classes(self, blob: str) -> np.ndarray:
        """By the last pass: (N, H, W)."""
        if not all_finite(self.net.blobs[blob]):
            raise InferenceError(
                "the scores are not finite numbers; the weights are damaged "
                "or do not belong to this net"
            )
        return argmax(self.net, blob)

    def labels(
        self,
        pixels: np.ndarray,
        plan: list[tiles.Tile],
        progress: Callable[[int, int], None] = lambda done, total: None,
        see: Optional[See] = None,
    ) -> list[np.ndarray]:
        """The class of each pixel by each head, uint8 (H, W), computed tile by tile.

        ``see(head, rows, columns, scores)`` is told each tile's scores (classes, h, w), the
        blob's own, and the slices of the image that they belong to.
        """
        results = [np.empty(pixels.shape[:2], np.uint8) for _ in self.scores]
        for i, (rows, columns) in enumerate(plan):
            progress(i, len(plan))
            kept = (
                slice(rows.first - rows.start, rows.last - rows.start),
                slice(columns.first - columns.start, columns.last - columns.start),
            )
            into = slice(rows.first, rows.last), slice(columns.first, columns.last)
            self._forward(pixels[rows.start : rows.stop, columns.start : columns.stop])
            for head, (blob, result) in enumerate(zip(self.scores, results)):
                result[into] = self._classes(blob)[0][kept]
                if see:
                    see(head, *into, self.net.blobs[blob].data[0][(slice(None), *kept)])
        progress(len(plan), len(plan))
        return results

    def labels_of(
        self, images: list[np.ndarray], see: Optional[list[See]] = None
    ) -> list[list[np.ndarray]]:
        """`labels` of each of several images of one size, in one pass; ``see``: one for each."""
        self._forward(*images)
        whole = slice(None), slice(None)
        heads = [self._classes(blob).astype(np.uint8) for blob in self.scores]
        for i, one in enumerate(see or ()):
            for head, blob in enumerate(self.scores):
                one(head, *whole, self.net.blobs[blob].data[i])
        return [[labels[i] for labels in heads] for i in range(len(images))]

    def certainty(self, chosen: np.ndarray, item: int = 0) -> float:
        """The mean probability of the first head's best class, over the chosen pixels, bool (H, W).

        By the last pass, which must have been of a whole image, or of several, of which ``item``.
        """
        scores = self.net.blobs[self.scores[0]].data[item][:, chosen]
        return float((1 / np.exp(scores - scores.max(0)).sum(0, dtype=np.float64)).mean())
