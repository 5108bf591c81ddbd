"""DenseCRF: mean-field inference against the same with all pairs of pixels."""

import numpy as np
import pytest
from crf_pairs import filter_matrix, picture, softmax, unary
from harness import Rig, close

from caffe.errors import LayerError, ShapeError

FIELDS = "pos_xy_std: 2 pos_w: 1.5 bi_xy_std: 6 bi_rgb_std: 50 bi_w: 2"


def crf(body, *shapes):
    return Rig(f'type: "DenseCRF" dense_crf_param {{ {body} }}', *shapes)


def by_pairs(scores, image, steps, filters):
    """Mean-field inference with full matrices, as its paper has it."""
    flat = scores.reshape(len(scores), -1).T.astype(float)
    q = softmax(flat)
    for _ in range(steps):
        q = softmax(flat + sum(w * (matrix @ q) for w, matrix in filters))
    return q.T.reshape(scores.shape)


@pytest.mark.parametrize("probability", [True, False])
def test_dense_crf_agrees_with_all_pairs(device, probability):
    scores, image = unary(3, 12, 14), picture(12, 14)
    words = f"max_iter: 4 {FIELDS} output_probability: {str(probability).lower()}"
    rig = crf(words, (1, 3, 12, 14), (1, 1, 1, 2), (1, 3, 12, 14))
    sizes = np.array([12, 14], np.float32).reshape(1, 1, 1, 2)
    q = rig.forward(scores[None], sizes, image[None])[0]
    q = q if probability else np.exp(q)
    places, colours = filter_matrix(12, 14, 2), filter_matrix(12, 14, 6, image, 50)
    expected = by_pairs(scores, image, 4, [(1.5, places), (2, colours)])
    plain = softmax(scores.reshape(3, -1).T.astype(float)).T.reshape(scores.shape)
    # The lattice is an approximation: compared with what the CRF changes it is off by little.
    assert np.abs(q - expected).max() < 0.06
    assert np.abs(q - expected).mean() < 0.05 * np.abs(expected - plain).mean()
    assert np.allclose(q.sum(0), 1, atol=1e-5)


def test_pictures_smaller_than_their_bottom_lie_at_its_top_left():
    scores, image = unary(2, 6, 7), picture(6, 7)
    rig = crf(f"max_iter: 3 {FIELDS}", (2, 2, 8, 9), (2, 2), (2, 3, 8, 9))
    padded, pictures = np.full((2, 2, 8, 9), 7.0), np.full((2, 3, 8, 9), 200.0)
    padded[:, :, :6, :7], pictures[:, :, :6, :7] = scores, image
    both = rig.forward(padded, np.array([[6, 7], [500, 500]]), pictures)
    small = crf(f"max_iter: 3 {FIELDS}", (1, 2, 6, 7), (1, 2), (1, 3, 6, 7))
    close(both[0, :, :6, :7], small.forward(scores[None], np.array([[6, 7]]), image[None])[0])
    assert not both[0, :, 6:].any() and not both[0, :, :, 7:].any()
    assert (both[1] > 0).all()


def test_without_pictures_and_without_steps():
    scores = unary(3, 5, 6)[None]
    sizes = np.array([[5, 6]])
    rig = crf("max_iter: 5 pos_xy_std: 3 pos_w: 3", (1, 3, 5, 6), (1, 2))
    q = rig.forward(scores, sizes)[0]
    expected = by_pairs(scores[0], None, 5, [(3, filter_matrix(5, 6, 3))])
    assert np.abs(q - expected).max() < 0.05
    plain = crf("max_iter: 0", (1, 3, 5, 6), (1, 2)).forward(scores, sizes)[0]
    close(plain, softmax(scores[0].reshape(3, -1).T).T.reshape(3, 5, 6))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("pos_w: 1", "pos_w, pos_xy_std equally often, got 1, 0"),
        ("bi_w: 1 bi_xy_std: 2", "equally often, got 1, 1, 0"),
        ("pos_w: 1 pos_xy_std: 0", "must be positive"),
        ("pos_w: 1 pos_xy_std: 3", "bottom of pictures, but no bi_w"),
    ],
)
def test_settings_that_make_no_sense(body, match):
    with pytest.raises(LayerError, match=match):
        crf(body, (1, 2, 4, 4), (1, 2), (1, 3, 4, 4))


def test_shapes_that_do_not_fit():
    for shapes, match in (
        ([(2, 4, 4), (2, 2)], "4 axes"),
        ([(2, 3, 4, 4), (1, 2)], "a height and a width for 2 pictures"),
        ([(1, 3, 4, 4), (1, 1)], "a height and a width"),
        ([(1, 2, 4, 4), (1, 2), (1, 1, 4, 4)], r"pictures of the shape \(1, 3, 4, 4\)"),
    ):
        with pytest.raises(ShapeError, match=match):
            crf(FIELDS, *shapes)
