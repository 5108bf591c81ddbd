"""The bilinear kernel."""

import numpy as np
import pytest

import surgery
from fcn.weights.bilinear import upsample_filt


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_upsampling_by_it_keeps_a_constant(factor):
    """Of kernels that lie `factor` apart, whatever covers one place adds up to 1."""
    size = 2 * factor - factor % 2
    kernel = upsample_filt(size)
    sums = [kernel[i::factor, j::factor].sum() for i in range(factor) for j in range(factor)]
    np.testing.assert_allclose(sums, 1)


def test_the_published_name_is_this_one():
    assert surgery.upsample_filt is upsample_filt
    assert upsample_filt(3).tolist() == np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]).tolist()
