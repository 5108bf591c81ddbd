"""Inner products of few items in training against PyTorch in float64."""

import pytest
import torch

from caffe import native
from caffe.native import small_product

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

SIZES = [(1, 800, 500), (1, 500, 10), (3, 7, 5), (4, 70, 9), (2, 16, 4), (1, 1, 1), (2, 129, 3)]


@pytest.mark.parametrize(("items", "inputs", "outputs"), SIZES)
def test_both_ways(items, inputs, outputs):
    torch.manual_seed(3)
    x, weight = torch.randn(items, inputs), torch.randn(outputs, inputs)
    bias, dy = torch.randn(outputs), torch.randn(items, outputs)
    wide = [t.double().requires_grad_() for t in (x, weight, bias)]
    expected = torch.nn.functional.linear(*wide)
    near = {"rtol": 1e-5, "atol": 2e-5, "check_dtype": False}
    for b, of_bias in ((bias, 0), (None, wide[2].detach())):
        y = torch.full((items, outputs), 7.0)
        small_product.forward(small_product.of(x, weight, bias=b, y=y))
        torch.testing.assert_close(y, expected.detach() - of_bias, **near)
    wanted = torch.autograd.grad(expected, wide, dy.double())
    names = "dx", "dw", "db"
    found = {n: torch.full(t.shape, 7.0) for n, t in zip(names, (x, weight, bias))}
    small_product.back(small_product.of(x, weight, dy=dy, **found))
    for name, gradient in zip(names, wanted):
        torch.testing.assert_close(found[name], gradient, **near)
        one = torch.full(found[name].shape, 7.0)
        small_product.back(small_product.of(x, weight, dy=dy, **{name: one}))
        assert torch.equal(one, found[name])


def test_what_it_takes():
    x, weight = torch.zeros(2, 6), torch.zeros(5, 6)
    assert small_product.applies(x, weight)
    assert not small_product.applies(x.double(), weight)
    assert not small_product.applies(torch.zeros(6, 2).t(), weight)
    assert not small_product.applies(torch.zeros(100, 6), weight)
    assert not small_product.applies(torch.zeros(0, 6), weight)
