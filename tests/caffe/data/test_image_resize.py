"""caffe.io.resize_image: sizes, ranges, orders, and what is refused."""

import numpy as np
import pytest

from caffe.data.image_resize import resize_image


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_constant_stays_and_the_range_is_kept(channels, order):
    image = np.full((6, 9, channels), 2.5)
    made = resize_image(image, (4, 5), order)
    assert made.shape == (4, 5, channels) and made.dtype == np.float32
    np.testing.assert_allclose(made, 2.5, rtol=1e-5)
    image = np.random.RandomState(0).uniform(-3, 7, (6, 9, channels))
    made = resize_image(image, (12, 18), order)
    if channels != 2:  # splines of other channels overshoot
        assert made.min() >= image.min() - 1e-5 and made.max() <= image.max() + 1e-5


def test_the_same_size_gives_the_same_numbers():
    image = np.random.RandomState(1).uniform(0, 1, (5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(resize_image(image, (5, 4)), image, atol=1e-6)


@pytest.mark.parametrize("shape, size", [((4, 4), (2, 2)), ((4, 4, 3), (0, 2))])
def test_what_is_no_image_or_size(shape, size):
    with pytest.raises(ValueError, match=r"takes an image \(H, W, C\) and a positive size"):
        resize_image(np.zeros(shape), size)
