"""What a layer keeps lies in the memory of what it kept before, where that fits."""

import torch

from caffe.layer._keep import kept_copy


def test_memory_is_used_again_where_the_shape_is_the_same():
    value = torch.arange(6.0)
    first = kept_copy(None, value)
    assert first.data_ptr() != value.data_ptr() and torch.equal(first, value)
    second = kept_copy(first, value + 1)
    assert second.data_ptr() == first.data_ptr() and torch.equal(second, value + 1)
    other = kept_copy(second, value.view(2, 3))
    assert other.data_ptr() != second.data_ptr() and other.shape == (2, 3)


def test_memory_on_another_device_is_let_be(pretend):
    first = kept_copy(None, torch.arange(6.0).to("pretend:0"))
    second = kept_copy(first, torch.arange(6.0).to("pretend:1"))
    assert str(second.device) == "pretend:1" and second.tolist() == first.tolist()
