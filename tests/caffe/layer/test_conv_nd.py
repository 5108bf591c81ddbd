"""Convolution tap by tap equals PyTorch's where PyTorch has one: with two spatial axes."""

import pytest
import torch
import torch.nn.functional as F

from caffe.layer._conv_nd import convolve_nd, deconvolve_nd

CASES = [((1, 1), (0, 0), (1, 1), 1), ((2, 3), (1, 2), (1, 1), 2), ((1, 2), (2, 0), (2, 1), 1)]


@pytest.mark.parametrize("stride, pad, dilation, group", CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_two_axes(stride, pad, dilation, group, bias):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 9, 8), torch.randn(6, 4 // group, 3, 2)
    b = torch.randn(6) if bias else None
    right = F.conv2d(x, weight, b, stride, pad, dilation, group)
    torch.testing.assert_close(convolve_nd(x, weight, b, stride, pad, dilation, group), right)
    weight = torch.randn(4, 6 // group, 3, 2)
    right = F.conv_transpose2d(x, weight, b, stride, pad, 0, group, dilation)
    torch.testing.assert_close(deconvolve_nd(x, weight, b, stride, pad, dilation, group), right)


def test_four_axes_sum_what_each_window_holds():
    x, ones = torch.ones(1, 2, 3, 3, 3, 3), torch.ones(1, 2, 2, 2, 2, 2)
    found = convolve_nd(x, ones, None, (1,) * 4, (0,) * 4, (1,) * 4, 1)
    assert found.shape == (1, 1, 2, 2, 2, 2) and (found == 2 * 16).all()
