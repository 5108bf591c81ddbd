"""ArgMax."""

import numpy as np
import pytest
from harness import Rig, random

from caffe.errors import LayerError


def argmax(body: str, shape=(2, 3, 4)) -> Rig:
    return Rig(f'type: "ArgMax" argmax_param {{ {body} }}', shape)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_along_an_axis(device, axis, k, values):
    x = random(2, 3, 4)
    y = argmax(f"axis: {axis} top_k: {k} out_max_val: {str(values).lower()}").forward(x)
    order = np.flip(np.argsort(x, axis), axis).take(range(k), axis)
    np.testing.assert_array_equal(y, np.take_along_axis(x, order, axis) if values else order)


@pytest.mark.parametrize("shape, expected", [((2, 12), (2, 1, 3)), ((2, 3, 2, 2), (2, 1, 3, 1))])
def test_over_everything(shape, expected):
    x = random(*shape)
    order = np.flip(np.argsort(x.reshape(2, 12), 1), 1)[:, :3]
    y = argmax("top_k: 3", shape).forward(x)
    np.testing.assert_array_equal(y, order.reshape(expected))
    y = argmax("top_k: 3 out_max_val: true", shape).forward(x)
    np.testing.assert_array_equal(y[:, 0].reshape(2, 3), order)
    best = np.take_along_axis(x.reshape(2, 12), order, 1)
    np.testing.assert_array_equal(y[:, 1].reshape(2, 3), best)


@pytest.mark.parametrize("k", [1, 2])
def test_of_equal_values_the_larger_index_comes_first(k):
    x = np.array([[1, 5, 5, 0, 5]], np.float32)
    assert argmax(f"axis: 1 top_k: {k}", (1, 5)).forward(x).tolist() == [[4, 2][:k]]


def test_bad_use_is_refused():
    with pytest.raises(LayerError, match="top_k must be 1 to 3"):
        argmax("axis: 1 top_k: 4")
    with pytest.raises(LayerError, match="no backward pass"):
        argmax("").backward()
