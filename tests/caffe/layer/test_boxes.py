"""Boxes of region proposal networks: anchors, deltas, suppression, against loops."""

import numpy as np
import pytest

from caffe.layer.extensions import _boxes


def random_boxes(count, seed, size=200):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, size, (count, 2, 2)).astype(np.float32)
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def greedy(boxes, overlap):
    """Keep a box where none kept before overlaps it by more."""
    kept = []
    boxes = boxes.tolist()  # Python's numbers are quicker one by one
    area = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in boxes]
    for i, a in enumerate(boxes):
        for k in kept:
            b = boxes[k]
            w = min(a[2], b[2]) - max(a[0], b[0]) + 1
            h = min(a[3], b[3]) - max(a[1], b[1]) + 1
            common = max(w, 0) * max(h, 0)
            if common / (area[i] + area[k] - common) > overlap:
                break
        else:
            kept.append(i)
    return kept


def test_the_published_anchors():
    """generate_anchors.py of py-faster-rcnn prints these."""
    found = _boxes.anchors(16, (0.5, 1, 2), (8, 16, 32), np.round)
    assert found.tolist() == [
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ]


def test_anchors_are_placed_by_row_then_column():
    placed = _boxes.place(np.array([[0, 0, 1, 1], [-1, -1, 2, 2]], np.float32), (2, 3), 10)
    assert placed.shape == (12, 4)
    assert placed[2:4].tolist() == [[10, 0, 11, 1], [9, -1, 12, 2]]
    assert placed[-2].tolist() == [20, 10, 21, 11]


def test_decode_of_encode_is_the_target_but_for_one_pixel():
    boxes, targets = random_boxes(50, 0), random_boxes(50, 1)
    found = _boxes.decode(boxes, _boxes.encode(boxes, targets))
    assert np.allclose(found - targets, [0, 0, 1, 1], atol=2e-3)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("overlap", [0.3, 0.7])
@pytest.mark.parametrize("most", [0, 5, 200])
def test_suppression(seed, overlap, most, monkeypatch):
    monkeypatch.setattr(_boxes, "_BLOCK", 16)
    boxes = random_boxes(150, seed, 60)
    kept = greedy(boxes, overlap)
    assert 16 < len(kept) < 150
    assert _boxes.suppress(boxes, overlap, most).tolist() == kept[: most or None]


def test_no_boxes():
    assert len(_boxes.suppress(np.zeros((0, 4), np.float32), 0.5)) == 0


@pytest.mark.parametrize("most", [0, 1, 7, 50, 80])
def test_best_first_keeps_the_order_of_equal_scores(most):
    scores = np.random.default_rng(0).integers(0, 9, 50).astype(np.float32)
    expected = sorted(range(50), key=lambda i: (-scores[i], i))[: most or None]
    assert _boxes.best_first(scores, most).tolist() == expected
