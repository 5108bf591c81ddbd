"""Scores as probabilities, from tiles too, and the file."""

import numpy as np

from fcn.inference.probabilities import Probabilities, save_probabilities, softmax


def test_softmax_is_that_of_large_scores_too():
    scores = np.array([[[1000.0, 0]], [[1000 + np.log(3), -1000]]], np.float32)
    np.testing.assert_allclose(softmax(scores)[:, 0], [[0.25, 1], [0.75, 0]], rtol=1e-4)


def test_tiles_are_put_together():
    scores = np.random.RandomState(1).randn(3, 6, 8).astype(np.float32)
    kept = Probabilities(1, (6, 8), False)
    for rows in (slice(0, 4), slice(4, 6)):
        for columns in (slice(0, 5), slice(5, 8)):
            kept(0, rows, columns, scores[:, rows, columns])
    np.testing.assert_allclose(kept.of[0], softmax(scores), rtol=1e-6)
    np.testing.assert_allclose(kept.of[0].sum(0), 1, rtol=1e-5)


def test_what_is_normalized_stays_and_may_be_smaller_than_the_image():
    values = np.full((2, 3, 4), 0.5, np.float32)
    kept = Probabilities(1, (30, 40), True)
    kept(0, slice(None), slice(None), values)
    values[:] = 9  # the net's next pass
    assert kept.of[0].shape == (2, 3, 4) and (kept.of[0] == 0.5).all()


def test_the_file_says_what_it_holds(tmp_path):
    path = str(tmp_path / "a.npz")
    save_probabilities(path, np.ones((2, 3, 4), np.float16), ("sky", "road"), (30, 40))
    with np.load(path) as file:  # without pickles
        assert file["probabilities"].dtype == np.float16
        assert list(file["classes"]) == ["sky", "road"] and list(file["size"]) == [30, 40]
