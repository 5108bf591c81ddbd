"""The two orders of a map's numbers in memory."""

import torch

from caffe.kernels.layout import channels_last_memory, is_channels_last, nchw, nhwc


def test_maps_of_one_pixel_or_channel_lie_in_both_orders():
    last = torch.channels_last
    assert is_channels_last(torch.zeros(1, 2, 3, 4).contiguous(memory_format=last))
    assert not is_channels_last(torch.zeros(1, 2, 3, 4))
    for shape in ((2, 3, 1, 1), (2, 1, 3, 4)):
        assert not is_channels_last(torch.zeros(shape).contiguous(memory_format=last))


def test_there_and_back_shares_the_memory_of_channels_last():
    x = torch.arange(24.0).view(1, 2, 3, 4)
    rows = nhwc(x)
    assert rows.is_contiguous() and torch.equal(nchw(rows), x)
    assert nhwc(nchw(rows)).data_ptr() == rows.data_ptr() != x.data_ptr()


def test_memory_in_another_layout_is_not_taken():
    given = torch.empty(2, 3, 4, 5)
    made = channels_last_memory(given.shape, given)
    assert made is not given and made.shape == given.shape and is_channels_last(made)
    assert channels_last_memory(made.shape, made) is made
    assert is_channels_last(channels_last_memory((2, 3, 4, 5), None))
