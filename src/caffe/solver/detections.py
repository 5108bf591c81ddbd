"""Mean average precision, from the rows of DetectionEvaluate (SSD)."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["VERSIONS", "AveragePrecision", "outputs_of"]


def outputs_of(net: Any) -> dict[str, AveragePrecision]:
    """For each top of a DetectionEvaluate layer what collects its rows."""
    return {
        top: AveragePrecision()
        for name, layer in net.layer_dict.items()
        if getattr(layer, "type", "") == "DetectionEvaluate"
        for top in net.top_names[name]
    }


class AveragePrecision:
    """Rows of batches, and the average precision of each label over all of them."""

    def __init__(self) -> None:
        self._objects: dict[int, int] = {}  # label -> how many there are
        self._rows: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """The rows of one batch, 1 x 1 x n x 5: see the layer."""
        rows = rows.reshape(-1, 5)
        counts = rows[:, 0] == -1
        for label, number in rows[counts, 1:3].astype(int).tolist():
            self._objects[label] = self._objects.get(label, 0) + number
        judged = (rows[:, 3] != 0) | (rows[:, 4] != 0)  # the others are difficult objects
        self._rows.append(rows[judged & ~counts].copy())

    def of_labels(self, version: str) -> dict[int, float]:
        """Average precision by label, 0 where nothing of it was found; see :data:`VERSIONS`."""
        rows = np.concatenate([np.empty((0, 5), np.float32), *self._rows])
        found = {}
        for label, objects in sorted(self._objects.items()):
            of_label = rows[rows[:, 1] == label]
            of_label = of_label[np.argsort(-of_label[:, 2], kind="stable")]
            found[label] = 0.0
            if len(of_label) and objects:
                true, false = of_label[:, 3].cumsum(), of_label[:, 4].cumsum()
                found[label] = float(VERSIONS[version](true / (true + false), true / objects))
        return found

    def mean(self, version: str) -> float:
        """The mean over all labels."""
        return float(np.mean(list(self.of_labels(version).values()) or [0.0]))


def _integral(precision: np.ndarray, recall: np.ndarray) -> float:
    """The area under the curve as it is."""
    return float((precision * np.diff(recall, prepend=0)).sum())


def _max_integral(precision: np.ndarray, recall: np.ndarray) -> float:
    """The area under the curve that never rises: PASCAL VOC from 2010 on, ILSVRC."""
    return _integral(np.maximum.accumulate(precision[::-1])[::-1], recall)


def _eleven_points(precision: np.ndarray, recall: np.ndarray) -> float:
    """The mean of the best precisions from recall 0, 0.1, ... 1 on: PASCAL VOC until 2009."""
    # As in SSD recall is float32 and the points are not: 3 of 10 reach 0.3, 7 of 10 not 0.7.
    recall = recall.astype(np.float32).astype(np.float64)
    return float(np.mean([precision[recall >= j / 10].max(initial=0) for j in range(11)]))


#: ``ap_version`` of SSD's solvers -> from precision and recall, by falling score, to the number.
VERSIONS = {"Integral": _integral, "MaxIntegral": _max_integral, "11point": _eleven_points}
