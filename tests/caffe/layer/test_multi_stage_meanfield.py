"""MultiStageMeanfield: CRF-RNN's layer against all pairs of pixels, and its gradient."""

import numpy as np
import pytest
from crf_pairs import filter_matrix, picture, softmax, unary
from harness import Rig, check_gradient, close

from caffe.errors import LayerError, ShapeError

THETAS = "theta_alpha: 6 theta_beta: 50 theta_gamma: 2"
WEIGHTS = "spatial_filter_weight: 1.5 bilateral_filter_weight: 2"


def meanfield(body, *shapes):
    text = f"multi_stage_meanfield_param {{ {body} }}"
    return Rig(f'type: "MultiStageMeanfield" {text}', *shapes)


def by_pairs(scores, start, steps, spatial, bilateral, blobs):
    """The layer with full matrices; scores and start a row a pixel."""
    a, b, m = (blob[0, 0].astype(float) for blob in blobs)
    x = start
    for _ in range(steps):
        q = softmax(x)
        x = scores - ((spatial @ q) @ a.T + (bilateral @ q) @ b.T) @ m.T
    return x


def rows(maps):
    return maps.reshape(len(maps), -1).T.astype(float)


@pytest.mark.parametrize("learned", [False, True])
def test_meanfield_agrees_with_all_pairs(device, learned):
    scores, start, image = unary(3, 12, 14), unary(3, 12, 14, seed=2), picture(12, 14)
    shape = (2, 3, 12, 14)
    rig = meanfield(f"num_iterations: 4 {THETAS} {WEIGHTS}", shape, shape, shape)
    if learned:
        for i, blob in enumerate(rig.layer.blobs):
            blob.data[...] = np.random.default_rng(i).normal(0, 0.7, blob.dims)
    blobs = [blob.data.copy() for blob in rig.layer.blobs]
    inputs = [np.stack([a, a[:, ::-1]]) for a in (scores, start, image)]
    x = rig.forward(*inputs)
    spatial, bilateral = filter_matrix(12, 14, 2), filter_matrix(12, 14, 6, image, 50)
    expected = by_pairs(rows(scores), rows(start), 4, spatial, bilateral, blobs)
    expected = expected.T.reshape(3, 12, 14)
    assert np.abs(x[0] - expected).mean() < 0.1 * np.abs(expected - scores).mean()
    flipped = by_pairs(
        rows(inputs[0][1]),
        rows(inputs[1][1]),
        4,
        spatial,
        filter_matrix(12, 14, 6, inputs[2][1], 50),
        blobs,
    )
    assert np.abs(rows(x[1]) - flipped).mean() < 0.1 * np.abs(expected - scores).mean()


def test_blobs_at_first():
    shape = (1, 3, 4, 5)
    rig = meanfield(f"num_iterations: 2 {THETAS} {WEIGHTS}", shape, shape, shape)
    a, b, m = (blob.data for blob in rig.layer.blobs)
    assert a.shape == (1, 1, 3, 3)
    assert np.array_equal(a[0, 0], 1.5 * np.eye(3)) and np.array_equal(b[0, 0], 2 * np.eye(3))
    assert np.array_equal(m[0, 0], -np.eye(3))
    words = "spatial_filter_weights_str: '3 2 1' bilateral_filter_weights_str: '5 4'"
    rig = meanfield(
        f"num_iterations: 2 {THETAS} {words} compatibility_mode: POTTS_ZERO", shape, shape, shape
    )
    a, b, m = (blob.data[0, 0] for blob in rig.layer.blobs)
    assert np.array_equal(a, np.diag([3, 2, 1])) and np.array_equal(b, np.diag([5, 4, 0]))
    assert np.array_equal(m, 1 - np.eye(3))


@pytest.mark.slow
def test_gradients_of_scores_start_and_blobs():
    shape = (1, 2, 4, 5)
    rig = meanfield(f"num_iterations: 2 {THETAS} {WEIGHTS}", shape, shape, (1, 3, 4, 5))
    for i, blob in enumerate(rig.layer.blobs):
        blob.data[...] = np.random.default_rng(i).normal(0, 1, blob.dims)
    inputs = unary(2, 4, 5)[None], unary(2, 4, 5, seed=2)[None], picture(4, 5)[None]
    check_gradient(rig, *inputs, bottoms=[0, 1], tolerance=1e-2)


def test_a_picture_of_one_colour_leaves_the_filter_of_places():
    shape = (1, 2, 9, 9)
    rig = meanfield(
        "num_iterations: 1 theta_alpha: 2 theta_beta: 3 theta_gamma: 2 spatial_filter_weight: 1",
        shape, shape, (1, 3, 9, 9),
    )  # fmt: skip
    scores = unary(2, 9, 9)[None]
    one = rig.forward(scores, scores, np.full((1, 3, 9, 9), 99.0))
    rig.layer.blobs[0].data[...] = 0
    rig.layer.blobs[1].data[0, 0] = np.eye(2)
    other = rig.forward(scores, scores, np.full((1, 3, 9, 9), 99.0))
    # The same weights by lattices of 2 and of 5 dimensions.
    assert np.abs(one - other).max() < 0.1 * np.abs(one - scores).max()
    assert np.abs(one - scores).max() > 0.1


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (THETAS, "num_iterations must be at least 1"),
        ("num_iterations: 2 theta_alpha: 3 theta_beta: 3", "must be positive"),
        (f"num_iterations: 2 {THETAS} spatial_filter_weights_str: '1 2 3'", "up to 2 numbers"),
        (f"num_iterations: 2 {THETAS} bilateral_filter_weights_str: 'x'", "up to 2 numbers"),
    ],
)
def test_settings_that_make_no_sense(body, match):
    with pytest.raises(LayerError, match=match):
        meanfield(body, (1, 2, 4, 4), (1, 2, 4, 4), (1, 3, 4, 4))


def test_shapes_that_do_not_fit():
    body = f"num_iterations: 2 {THETAS}"
    with pytest.raises(ShapeError, match="two bottoms of scores of one shape"):
        meanfield(body, (1, 2, 4, 4), (1, 2, 4, 5), (1, 3, 4, 4))
    with pytest.raises(ShapeError, match="pictures as many and as large"):
        meanfield(body, (1, 2, 4, 4), (1, 2, 4, 4), (1, 3, 4, 5))
    rig = meanfield(body, (1, 2, 4, 4), (1, 2, 4, 4), (1, 3, 4, 4))
    with pytest.raises(ShapeError, match="blobs are for 2 classes"):
        rig.reshape((1, 3, 4, 4), (1, 3, 4, 4), (1, 3, 4, 4))


def test_colours_too_far_apart_and_not_finite():
    shape = (1, 2, 4, 4)
    rig = meanfield(
        "num_iterations: 2 theta_alpha: 1 theta_beta: 1e-6 theta_gamma: 1",
        shape,
        shape,
        (1, 3, 4, 4),
    )
    image = picture(4, 4)[None]
    with pytest.raises(ShapeError, match="too far apart"):
        rig.forward(unary(2, 4, 4)[None], unary(2, 4, 4)[None], image)
    image[0, 0, 0, 0] = np.nan
    with pytest.raises(ShapeError, match="have to be finite"):
        rig.forward(unary(2, 4, 4)[None], unary(2, 4, 4)[None], image)


def test_batches_are_pictures_of_their_own():
    shape = (2, 2, 5, 6)
    rig = meanfield(f"num_iterations: 3 {THETAS} {WEIGHTS}", shape, shape, (2, 3, 5, 6))
    scores = np.stack([unary(2, 5, 6), unary(2, 5, 6, seed=4)])
    images = np.stack([picture(5, 6), picture(5, 6, seed=3)])
    both = rig.forward(scores, scores, images)
    single = meanfield(
        f"num_iterations: 3 {THETAS} {WEIGHTS}", (1, *shape[1:]), (1, *shape[1:]), (1, 3, 5, 6)
    )
    close(single.forward(scores[1:], scores[1:], images[1:]), both[1:])
