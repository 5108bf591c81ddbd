"""The measures, against their definitions pixel by pixel, and what counts in none of them."""

import numpy as np
import pytest
from fcn_helpers import raised

import score
from fcn.scoring.metrics import fast_hist, metrics


def test_the_histogram_counts_pixels_by_truth_and_prediction():
    draw = np.random.RandomState(0)
    truth, found = draw.randint(0, 3, (2, 7, 5)), draw.randint(0, 3, (2, 7, 5))
    hist = fast_hist(truth, found, 3)
    for i in range(3):
        for j in range(3):
            assert hist[i, j] == ((truth == i) & (found == j)).sum()


@pytest.mark.parametrize("ignored", [255, -1, 3])
def test_pixels_of_no_class_do_not_count_whatever_they_are_called(ignored):
    hist = fast_hist(np.array([0, ignored, 2]), np.array([1, 77, 2]), 3)
    assert hist.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_bytes_do_not_overflow():
    truth = np.full(5, 20, np.uint8)
    assert fast_hist(truth, truth, 21)[20, 20] == 5


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_prediction_of_no_class_is_an_error(wrong):
    told = raised(ValueError, fast_hist, np.array([0, 1]), np.array([0, wrong]), 3)
    assert "in 0…2" in told and str(wrong) in told


def test_sizes_must_agree():
    assert "4 pixels and prediction 3" in raised(ValueError, fast_hist, [0] * 4, [0] * 3, 2)


def test_the_measures_of_an_example():
    found = metrics([[3, 1], [2, 4]])
    assert found.overall_accuracy == 7 / 10
    assert found.accuracy.tolist() == [3 / 4, 4 / 6]
    assert found.iu.tolist() == [3 / 6, 4 / 7]
    assert found.mean_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found.mean_iu == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert found.fwavacc == pytest.approx(0.4 * 3 / 6 + 0.6 * 4 / 7)


def test_a_class_that_is_nowhere_is_left_out_and_one_wrongly_found_is_not():
    found = metrics([[4, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert np.isnan(found.accuracy[1:]).all() and found.mean_accuracy == 4 / 5
    assert np.isnan(found.iu[1]) and found.iu[2] == 0
    assert found.mean_iu == pytest.approx((4 / 5 + 0) / 2)
    assert found.fwavacc == pytest.approx(4 / 5)


def test_nothing_labelled_has_no_measure():
    found = metrics(np.zeros((2, 2)))
    assert np.isnan(
        [found.overall_accuracy, found.mean_accuracy, found.mean_iu, found.fwavacc]
    ).all()


def test_a_large_histogram_is_exact():
    assert metrics(np.diag([2**40, 1])).mean_iu == 1


def test_score_py_has_them_by_the_same_name():
    assert score.fast_hist is fast_hist
