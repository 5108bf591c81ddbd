"""Copies from channels-last memory, strip by strip."""

import pytest
import torch

from caffe._planes import copy_planes, planes


@pytest.mark.parametrize(
    "shape",
    [(1, 21, 181, 130), (3, 5, 300, 100), (1, 3000, 7, 90), (1, 2, 3, 4), (2, 7), (0, 3, 2, 2)],
)
@pytest.mark.parametrize("last", [False, True])
def test_the_numbers_are_those_of_a_plain_copy(shape, last):
    x = torch.randn(shape)
    if last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    y = planes(x)
    assert y.is_contiguous()
    assert torch.equal(y, x)


def test_a_part_of_a_larger_blob_is_copied_and_nothing_beside_it():
    source = torch.randn(1, 30, 200, 220).contiguous(memory_format=torch.channels_last)
    target = torch.zeros(1, 30, 202, 220)
    copy_planes(target[:, :, 1:201], source)
    assert torch.equal(target[:, :, 1:201], source)
    assert not target[:, :, 0].any()
    assert not target[:, :, 201].any()
