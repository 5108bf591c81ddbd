"""Local response normalization within channels by the native kernels, against float64."""

import pytest
import torch

from caffe import native
from caffe.native import lrn_within

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]


def formula(x, size, alpha, beta):
    mean = torch.nn.functional.avg_pool2d(x * x, size, 1, size // 2, count_include_pad=True)
    return x * (1 + alpha * mean) ** -beta


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size, beta", [(3, 0.75), (5, 0.5), (1, 0.75)])
@pytest.mark.parametrize("shape", [(2, 32, 7, 6), (1, 19, 2, 9), (3, 5, 8, 8)])
def test_results_and_gradients_are_those_of_the_formula(shape, size, beta, threads):
    torch.manual_seed(2)
    x = torch.randn(shape).mul_(3).contiguous(memory_format=torch.channels_last)
    g = torch.randn(shape)
    exact = x.double().requires_grad_()
    expected = formula(exact, size, 0.8, beta)
    expected.backward(g.double())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y, s = lrn_within.forward(x, size, 0.8, beta)
        d = lrn_within.backward(g, x, s, size, 0.8, beta)
    finally:
        torch.set_num_threads(before)
    for found, wanted in ((y, expected.detach()), (d, exact.grad)):
        assert float((found - wanted).abs().max()) < 1e-6 * float(wanted.abs().max())
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_only_channels_last_memory_in_float32_is_taken():
    x = torch.ones(2, 4, 3, 3)
    last = x.contiguous(memory_format=torch.channels_last)
    assert lrn_within.applies(last)
    assert not lrn_within.applies(x)
    assert not lrn_within.applies(last.double())
    assert not lrn_within.applies(last[:, :2])
