"""Quotients that a GPU gives as the CPU does."""

import pytest
import torch

from caffe.kernels.division import divide


@pytest.mark.parametrize("by", [1, 3, 5, 6, 7, 11, 2.5, 0.3, 1e-3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_quotients_are_ieees_on_any_device(pretend, dtype, by):
    x = torch.arange(-50, 4000).to(dtype)
    with pretend.counting() as counts:
        found = divide(x.to("pretend:0"), by)
    assert found.device.type == "pretend" and found.dtype == (x / by).dtype
    assert torch.equal(found.cpu(), x / by)
    assert torch.equal(divide(x, by), x / by)
    assert counts["H2D"] == 1 and counts["sync"] <= 1  # x itself


def test_gradients_pass():
    x = torch.ones(3, requires_grad=True)
    divide(x, 4).sum().backward()
    assert x.grad.tolist() == [0.25] * 3
