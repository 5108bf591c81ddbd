"""Labels from an image and its mirror image together.

A net does not give the mirrored labels for the mirrored image; the mean of its probabilities for
both is better than either. On half of VOC's val pictures voc-fcn4s-lite0 gains 1.0 point of mean IU
(`benchmarks/picture_scales.py`). It takes twice the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fcn.geometry.ops import InferenceError
from fcn.inference.probabilities import Probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fcn.inference.model import See
    from fcn.inference.tiles import Tile

__all__ = ["Mirrored"]


def _flipped(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1])


class Mirrored:
    """A model of fcn/inference that labels each image twice; ``heads``: how many it has.

    Images must pass whole: the tiles of a mirrored image lie elsewhere.
    """

    #: What it shows are probabilities.
    normalized = True

    def __init__(self, model: Any, heads: int) -> None:
        self.model, self.heads = model, heads
        self._last: list[list[np.ndarray]] = []

    def memory(self, height: int, width: int) -> int:
        """Bytes that one of its passes takes."""
        return self.model.memory(height, width)

    def plan(self, height: int, width: int, *limits: Any) -> list[Tile]:
        """One tile, the image; InferenceError where it does not fit into the free memory."""
        result = self.model.plan(height, width, *limits)
        if len(result) > 1:
            raise InferenceError(
                f"an image of {width}x{height} does not fit into memory whole, as --mirror needs; "
                "say a smaller --size, or leave --mirror out"
            )
        return result

    def at_once(self, height: int, width: int, most: int, *limits: Any) -> int:
        """How many images of one size may pass together; see `Model.at_once`."""
        return self.model.at_once(height, width, most, *limits)

    def labels(
        self,
        pixels: np.ndarray,
        plan: list[Tile],
        progress: Callable[[int, int], None] = lambda done, total: None,
        see: See | None = None,
    ) -> list[np.ndarray]:
        """The class of each pixel by each head; see `Model.labels`."""

        def probabilities(image: np.ndarray) -> list[np.ndarray]:
            kept = Probabilities(self.heads, image.shape[:2], self.model.normalized)
            self.model.labels(image, plan, see=kept)
            return kept.of

        progress(0, 2)
        first = probabilities(pixels)
        progress(1, 2)
        self._last = [_means(first, probabilities(_flipped(pixels)))]
        progress(2, 2)
        return self._labels([see] if see else [])[0]

    def labels_of(
        self, images: list[np.ndarray], see: Sequence[See] | None = None
    ) -> list[list[np.ndarray]]:
        """`labels` of each of several images of one size; see `Model.labels_of`."""

        def probabilities(images: list[np.ndarray]) -> list[list[np.ndarray]]:
            size = images[0].shape[:2]
            kept = [Probabilities(self.heads, size, self.model.normalized) for _ in images]
            self.model.labels_of(images, kept)
            return [one.of for one in kept]

        mirrored = probabilities([_flipped(image) for image in images])
        self._last = [_means(*pair) for pair in zip(probabilities(images), mirrored)]
        return self._labels(see or [])

    def _labels(self, see: Sequence[See]) -> list[list[np.ndarray]]:
        whole = slice(None), slice(None)
        for one, heads in zip(see, self._last):
            for head, values in enumerate(heads):
                one(head, *whole, values)
        return [[values.argmax(0).astype(np.uint8) for values in heads] for heads in self._last]

    def certainty(self, chosen: np.ndarray, item: int = 0) -> float:
        """The mean probability of the first head's best class over the chosen pixels."""
        return float(self._last[item][0][:, chosen].max(0).mean(dtype=np.float64))


def _means(heads: list[Any], mirrored: list[Any]) -> list[np.ndarray]:
    return [(one + other[..., ::-1]) / 2 for one, other in zip(heads, mirrored)]
