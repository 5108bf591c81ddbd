"""Scores of classes as probabilities, collected from tiles, and the file that holds them."""

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from fcn.atomic import replacing

__all__ = ["Probabilities", "save_probabilities", "softmax"]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of scores (classes, H, W) along the classes: float32, each pixel's sum is 1."""
    values = scores - scores.max(0)
    np.exp(values, out=values)
    values /= values.sum(0)
    return values


class Probabilities:
    """What a model shows its scores (`fcn.inference.model.See`): keeps the probabilities.

    ``of[head]`` is float32 (classes, H, W).
    """

    def __init__(self, heads: int, size: tuple[int, int], normalized: bool) -> None:
        self.size, self.normalized = size, normalized
        self._of: list[Optional[np.ndarray]] = [None] * heads

    @property
    def of(self) -> list[Any]:
        return self._of

    def __call__(self, head: int, rows: slice, columns: slice, scores: np.ndarray) -> None:
        values = np.array(scores) if self.normalized else softmax(scores)
        whole = self._of[head]
        if whole is None:
            # The scores of a net that runs at one size may be smaller than what it reads.
            everything = rows == columns == slice(None)
            size = values.shape[1:] if everything else self.size
            whole = self._of[head] = np.empty((len(values), *size), np.float32)
        whole[:, rows, columns] = values


def save_probabilities(
    path: str, values: np.ndarray, names: Sequence[str], size: tuple[int, int]
) -> None:
    """An .npz: ``probabilities`` (classes, h, w) at the size at which the image was labelled,
    ``classes`` (their names) and ``size`` (height and width of the image)."""
    with replacing(path, durable=False) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, probabilities=values, classes=np.array(names), size=np.array(size)
        )
