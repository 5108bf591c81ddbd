"""A published segmentation net that is no experiment here: a folder with its prototxt and weights.

The net is run at the size that its prototxt says, as whoever published it did; what it does to the
image axes need not be known. Class numbers are those of the largest of the last blob's channels.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import caffe
from fcn.engine import all_finite, argmax, forward
from fcn.geometry.ops import InferenceError
from fcn.inference.tiles import Tile
from fcn.inference.whole_image import WholeImage
from fcn.palette import with_colours
from fcn.weights.load import load_weights

__all__ = ["PublishedModel", "one_file", "read_classes"]


def one_file(folder: str, pattern: str, preferred: str | None = None) -> str:
    """The file of a folder that matches, or the preferred one of several; LookupError."""
    found = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    best = [path for path in found if os.path.basename(path) == preferred]
    if len(best or found) != 1:
        names = ", ".join(os.path.basename(path) for path in found) or "none"
        expected = f"'{preferred}' or one {pattern}" if preferred else f"one {pattern}"
        raise LookupError(f"expected {expected} in '{folder}'; found {names}")
    return (best or found)[0]


def read_classes(path: str) -> tuple[tuple[str, ...], Any]:
    """(names, palette) of a file with a class a line, in the order of the net's channels.

    After a tab may follow the colour, "R G B"; else it is PASCAL VOC's. ValueError names the line.
    """
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file]
    while lines and not lines[-1]:
        lines.pop()
    palette = with_colours([(0, 0, 0)])
    names = []
    for number, line in enumerate(lines):
        name, tab, colour = (part.strip() for part in line.partition("\t"))
        values = colour.split()
        right = len(values) == 3 and all(v.isdecimal() and int(v) < 256 for v in values)
        if not name or (colour and not right):
            raise ValueError(
                f"'{path}', line {number + 1}: expected a name, or name, tab and 'R G B' from 0 to "
                f"255; received '{line}'"
            )
        if colour and number < 255:
            palette[number] = [int(value) for value in values]
        names.append(name)
    if not 1 <= len(names) <= 255:
        raise ValueError(f"'{path}': expected 1 to 255 classes, one a line; found {len(names)}")
    return tuple(names), palette


class PublishedModel(WholeImage):
    """As fcn.inference.model.Model, for an image of the one size that the prototxt says."""

    def __init__(self, deploy: str, weights: str, mean: Sequence[float], classes: int) -> None:
        self.net = caffe.Net(deploy, caffe.TEST)
        load_weights(self.net, weights)
        self.mean = np.array(mean, np.float32)
        if len(self.net.inputs) != 1 or len(self.net.outputs) != 1:
            raise InferenceError(
                f"'{deploy}' has the inputs {', '.join(self.net.inputs) or 'none'} and the outputs "
                f"{', '.join(self.net.outputs) or 'none'}; expected one of each"
            )
        self.input, self.output = self.net.inputs[0], self.net.outputs[0]
        #: Whether its scores are probabilities already.
        self.normalized = self.net.layers[-1].type == "Softmax"
        shape = tuple(self.net.blobs[self.input].data.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise InferenceError(f"'{deploy}' reads {shape}; expected a photo, (1, 3, H, W)")
        #: Height and width of what it reads.
        self.size = shape[2:]
        scores = tuple(self.net.blobs[self.output].data.shape)
        if len(scores) != 4 or scores[1] != classes:
            raise InferenceError(
                f"'{deploy}' gives '{self.output}' {scores}; expected scores of the {classes} "
                f"classes that were named, (1, {classes}, H, W)"
            )

    def memory(self, height: int, width: int) -> int:
        """Bytes of the blobs."""
        return sum(4 * int(np.prod(blob.data.shape)) for blob in self.net.blobs.values())

    def labels(
        self,
        pixels: np.ndarray,
        plan: Sequence[Tile],
        progress: Callable[..., None] | None = None,
        see: Callable[..., None] | None = None,
    ) -> list[np.ndarray]:
        """The class of each pixel, uint8, of RGB pixels of `size`; at the size of the scores.

        ``see``: see `Model.labels`.
        """
        blob = self.net.blobs[self.input]
        blob.reshape(1, 3, *self.size)
        blob.data[0] = pixels[:, :, ::-1].transpose(2, 0, 1) - self.mean[:, None, None]
        forward(self.net)
        if not all_finite(self.net.blobs[self.output]):
            raise InferenceError(
                "the scores are not finite numbers; the weights are damaged or do not belong to "
                "this net"
            )
        if see:
            see(0, slice(None), slice(None), self.net.blobs[self.output].data[0])
        return [argmax(self.net, self.output)[0].astype(np.uint8)]

    def certainty(self, chosen: np.ndarray, item: int = 0) -> float:
        """The mean probability of the best class over the chosen pixels, by the last pass."""
        scores = self.net.blobs[self.output].data[0][:, chosen]
        best = scores.max(0)
        if self.normalized:
            return float(best.mean())
        return float((1 / np.exp(scores - best).sum(0, dtype=np.float64)).mean())
