"""Yolov3DetectionOutput: against its formulas box by box."""

import numpy as np
import pytest
from harness import Rig, close

from caffe.errors import LayerError, ShapeError

BIASES = [10, 14, 23, 27, 37, 58, 81, 82]


def rig(words, *shapes):
    numbers = " ".join(f"biases: {n}" for n in BIASES)
    text = f"yolov3_detection_output_param {{ num_classes: 3 num_box: 2 {numbers} {words} }}"
    return Rig(f'type: "Yolov3DetectionOutput" {text}', *shapes)


TWO = "mask: 2 mask: 3 mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def share(a, b):
    width = min(a[5], b[5]) - max(a[3], b[3])
    height = min(a[6], b[6]) - max(a[4], b[4])
    common = max(width, 0) * max(height, 0)
    areas = [(box[5] - box[3]) * (box[6] - box[4]) for box in (a, b)]
    return common / (sum(areas) - common)


def by_loop(maps, masks, scales, above, limit):
    rows = []
    for item in range(len(maps[0])):
        found = []
        for values, mask, scale in zip(maps, masks, scales):
            _, _, height, width = values.shape
            for n, anchor in enumerate(mask):
                part = values[item, n * 8 : n * 8 + 8].astype(float)
                for row in range(height):
                    for column in range(width):
                        x, y, w, h, there, *classes = part[:, row, column]
                        x, y = (column + sigmoid(x)) / width, (row + sigmoid(y)) / height
                        w = np.exp(w) * BIASES[2 * anchor] / (width * scale)
                        h = np.exp(h) * BIASES[2 * anchor + 1] / (height * scale)
                        for label, score in enumerate(classes):
                            score = sigmoid(there) * sigmoid(score)
                            if score > above:
                                box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                                found.append([item, label + 1, score, *box])
        found.sort(key=lambda row: -row[2])
        kept = []
        for row in found:
            if all(share(row, other) < limit for other in kept):
                kept.append(row)
        rows += kept
    return np.array(rows)


@pytest.mark.parametrize("limit", [0.2, 0.45, 0.9])
def test_boxes_of_two_maps(limit):
    rng = np.random.default_rng(0)
    maps = [rng.normal(0, 1.5, (2, 16, 3, 4)), rng.normal(0, 1.5, (2, 16, 6, 8))]
    layer = rig(f"{TWO} confidence_threshold: 0.4 nms_threshold: {limit}",
                *(values.shape for values in maps))  # fmt: skip
    maps = [values.astype(np.float32) for values in maps]
    expected = by_loop(maps, [(2, 3), (0, 1)], (32, 16), 0.4, limit)
    top = layer.forward(*maps)
    assert len(expected) > 10 and set(expected[:, 0]) == {0, 1}
    close(top[0, 0], expected)


def test_without_detections_each_item_has_a_row():
    layer = rig(f"{TWO} confidence_threshold: 1", (3, 16, 2, 2), (3, 16, 4, 4))
    rows = layer.forward(np.zeros((3, 16, 2, 2)), np.zeros((3, 16, 4, 4)))
    assert rows.tolist() == [[[[i, *[-1] * 6] for i in range(3)]]]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (f"{TWO} mask_group_num: 3", "has 2 bottoms, mask_group_num is 3"),
        ("mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16", "needs 4 mask and 2 anchors_scale"),
        (f"{TWO.replace('mask: 3', 'mask: 4')}", "mask names anchor 4, the biases are of 4"),
    ],
)
def test_settings_that_do_not_fit(words, match):
    with pytest.raises(LayerError, match=match):
        rig(words, (1, 16, 2, 2), (1, 16, 4, 4))


def test_channels_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"2 x \(5 \+ 3\) = 16 channels"):
        rig(TWO, (1, 16, 2, 2), (1, 15, 4, 4))
