"""Stochastic pooling: BVLC computes it on a GPU alone, so its rules are written out here."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig, check_gradient, close, random

from caffe import rng


def pool(body: str, shape, phase: int = TRAIN) -> Rig:
    text = f'type: "Pooling" pooling_param {{ pool: STOCHASTIC {body} }}'
    return Rig(text, shape, phase=phase)


def windows(x, kernel, stride):
    """(n, c, i, j), the window and its first row and column, for every window of the output."""
    sizes = [-(-(n - kernel) // stride) + 1 for n in x.shape[2:]]
    for n, c, i, j in np.ndindex(*x.shape[:2], *sizes):
        row, column = i * stride, j * stride
        yield (n, c, i, j), x[n, c, row : row + kernel, column : column + kernel], row, column


@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_testing_takes_the_mean_of_the_draws(device, kernel, stride):
    x = random(2, 3, 5, 6, low=0)
    rig = pool(f"kernel_size: {kernel} stride: {stride}", x.shape, TEST)
    y = rig.forward(x)
    expected = np.zeros_like(y)
    for place, w, _, _ in windows(x, kernel, stride):
        expected[place] = (w**2).sum() / w.sum() if w.size else 0
    close(y, expected)
    if device == "cpu":
        check_gradient(rig, 0.5 + x, step=1e-3)


def test_testing_gives_zero_where_the_sum_is_not_positive():
    rig = pool("kernel_size: 2", (1, 1, 2, 4), TEST)
    x = np.array([[0, 0, 0, -1], [0, 0, 0, 0.5]])
    np.testing.assert_array_equal(rig.forward(x).ravel(), [0, 0, 0])
    assert not rig.backward(1.0)[0].any()


@pytest.mark.cpu_only
@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_training_takes_the_first_value_whose_running_sum_reaches_the_draw(kernel, stride):
    """The draws are Caffe's uniform numbers, one a window."""
    x = random(2, 3, 5, 6, low=0)
    rig = pool(f"kernel_size: {kernel} stride: {stride}", x.shape)
    rng.set_random_seed(5)
    y = rig.forward(x)
    g = random(*y.shape, seed=1)
    rng.set_random_seed(5)
    shares = rng.get().uniform(0, 1, y.size).reshape(y.shape)
    expected, diff = np.zeros_like(y), np.zeros_like(x)
    for place, w, row, column in windows(x, kernel, stride):
        if not w.size:
            continue  # a last window outside the image
        running = w.ravel().cumsum(dtype=np.float32)
        first = int(np.argmax(running >= shares[place] * running[-1]))
        i, j = divmod(first, w.shape[1])
        expected[place] = w[i, j]
        diff[place[0], place[1], row + i, column + j] += g[place]
    close(y, expected)
    close(rig.backward(g)[0], diff)


def test_values_are_drawn_in_proportion(device):
    """30,000 draws: the shares lie within five standard deviations of the values'."""
    values = np.array([[1.0, 0, 2], [0.5, 4, 2.5]], np.float32)
    x = np.tile(values, (30, 1000, 1, 1))
    rig = pool("kernel_h: 2 kernel_w: 3", x.shape)
    rng.set_random_seed(1)
    y = rig.forward(x).ravel()
    share = values / values.sum()
    for value, p in zip(values.ravel(), share.ravel()):
        assert abs((y == value).mean() - p) <= 5 * np.sqrt(p * (1 - p) / y.size)
    diff = rig.backward(1.0)[0]
    assert diff.sum() == y.size and ((diff == 1) == (x == y.reshape(30, 1000, 1, 1))).all()


def test_the_mean_of_the_draws_is_what_testing_gives():
    values = np.array([[1.0, 0.5], [2, 3]], np.float32)
    x = np.tile(values, (10, 1000, 1, 1))
    rng.set_random_seed(2)
    drawn = pool("global_pooling: true", x.shape).forward(x)
    mean = pool("global_pooling: true", x.shape, TEST).forward(x)
    assert abs(drawn.mean() - mean[0, 0, 0, 0]) < 0.05


def test_special_values_in_training():
    rig = pool("kernel_size: 2 stride: 2", (1, 1, 2, 6))
    x = np.array([[0, 0, 1, np.nan, 0, 0], [0, 0, 1, 1, 0, 7]])
    y = rig.forward(x).ravel()
    assert y[0] == 0 and np.isnan(y[1]) and y[2] == 7
    diff = rig.backward(1.0)[0]
    np.testing.assert_array_equal(diff.ravel().nonzero()[0], [0, 11])  # nothing where it is NaN


def test_backward_before_forward_goes_to_the_first_place():
    rig = pool("kernel_size: 2", (1, 1, 3, 3))
    np.testing.assert_array_equal(rig.backward(1.0)[0].ravel(), [4] + [0] * 8)
