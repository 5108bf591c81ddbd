"""Convolutions as one product with columns."""

import pytest
import torch
from way_cases import LAYOUTS, check

from caffe.kernels.ways import columns

CASES = [  # bottom (N, C, H, W), weights (O, C, kh, kw), stride, pad
    ((1, 64, 12, 13), (512, 64, 7, 7), 1, 0),
    ((2, 64, 12, 13), (512, 64, 7, 7), 2, 2),
    ((1, 20, 12, 12), (50, 20, 5, 5), 1, 0),  # one small image
    ((1, 4, 9, 9), (6, 4, 3, 3), 2, 1),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_operator(case, layout):
    check("columns", *case, layout)


@pytest.mark.parametrize("case", CASES)
def test_a_convolution_outside_a_layer(case):
    bottom, shape, stride, pad = case
    g = torch.Generator().manual_seed(2)
    x, weight = torch.randn(bottom, generator=g), torch.randn(shape, generator=g)
    bias = torch.randn(shape[0], generator=g)
    y = columns.convolve(x, weight, bias, [stride] * 2, [pad] * 2)
    want = torch.conv2d(x.double(), weight.double(), bias.double(), stride, pad)
    assert y.shape == want.shape
    assert (y - want).abs().max() <= 1e-5 * want.abs().max()
