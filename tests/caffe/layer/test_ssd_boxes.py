"""Boxes of SSD: codes there and back, areas, overlaps, suppression, against plain formulas."""

import numpy as np
import pytest

from caffe.layer.extensions import _ssd_boxes as boxes
from caffe.proto import caffe_pb2

KINDS = [getattr(caffe_pb2.PriorBoxParameter, n) for n in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")]


def random_boxes(count, seed=0):
    corners = np.random.RandomState(seed).uniform(0, 1, (count, 2, 2)).astype(np.float32)
    return np.concatenate([corners.min(1), corners.max(1) + 0.01], 1).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_target", [False, True])
def test_what_is_encoded_is_decoded(kind, in_target):
    variances = np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (20, 1))
    priors = boxes.Priors(random_boxes(20), variances)
    code, targets = boxes.Code(kind, in_target), random_boxes(20, 1)
    numbers = boxes.encode(priors, targets, code)
    np.testing.assert_allclose(boxes.decode(priors, numbers, code), targets, atol=2e-6)


def test_priors_without_variances_have_variances_of_1():
    values = random_boxes(3).reshape(1, 1, -1)
    found = boxes.priors_of(values)
    assert np.array_equal(found.boxes, values.reshape(3, 4)) and (found.variances == 1).all()


def test_areas_and_overlaps():
    some = np.float32([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1], [0.7, 0, 0.2, 1]])
    assert boxes.areas(some).tolist() == [1, 0.5, 0.5, 0]  # the last is inside out
    share = boxes.overlaps(some[:3], some[:3])
    np.testing.assert_allclose(share, [[1, 0.5, 0.5], [0.5, 1, 0], [0.5, 0, 1]])
    pixels = np.float32([[0, 0, 9, 9], [0, 0, 4, 9]])  # 100 and 50 pixels, ends included
    np.testing.assert_allclose(boxes.overlaps(pixels, pixels, one=1)[0, 1], 0.5)


def test_best_first():
    scores = np.float32([0.2, 0.9, 0.5, 0.9, 0.1])
    assert boxes.best_first(scores, 0.1, -1).tolist() == [1, 3, 2, 0]
    assert boxes.best_first(scores, 0.1, 3).tolist() == [1, 3, 2]
    assert boxes.best_first(scores, 0.1, 0).tolist() == []


@pytest.mark.parametrize("eta", [1.0, 0.9])
def test_suppression_keeps_what_overlaps_nothing_kept(eta, monkeypatch):
    some = random_boxes(60)
    kept, limit = [], 0.6
    for i in range(60):
        if all(boxes.overlaps(some[i : i + 1], some[k : k + 1])[0, 0] <= limit for k in kept):
            kept.append(i)
            limit = limit * eta if limit > 0.5 else limit
    assert boxes.suppress(some, 0.6, eta) == kept
    monkeypatch.setattr(boxes, "_MATRIX", 0)
    assert boxes.suppress(some, 0.6, eta) == kept


def test_a_prior_without_a_size_is_named():
    priors = boxes.Priors(np.float32([[0, 0, 1, 1], [0.5, 0, 0.5, 1]]), np.ones((2, 4)))
    assert boxes.check_code(priors, boxes.Code(KINDS[0], False)) == ""
    told = boxes.check_code(priors, boxes.Code(KINDS[1], False))
    assert told == "prior 1 has no width or height: 0.5, 0, 0.5, 1"
