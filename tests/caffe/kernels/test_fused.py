"""kernels/fused.py against PyTorch's general operators."""

import pytest
import torch
import torch.nn.functional as F

from caffe.kernels import fused
from caffe.kernels.fused import NONE, Activation, Settings

pytestmark = pytest.mark.skipif(
    not fused.available(), reason="this PyTorch has no fused convolutions"
)

ACTIVATIONS = {
    NONE: lambda y: y,
    Activation("relu"): F.relu,
    Activation("leaky_relu", (0.1,)): lambda y: F.leaky_relu(y, 0.1),
    Activation("hardtanh", (-0.5, 1.0)): lambda y: F.hardtanh(y, -0.5, 1.0),
}
# channels, outputs, kernel, pad, stride, dilation, group
CASES = [
    (1, 4, 5, 0, 1, 1, 1),
    (3, 16, 3, 1, 2, 1, 1),
    (8, 8, 3, 1, 1, 1, 8),
    (8, 12, 3, 2, 1, 2, 4),
    (16, 1, 1, 0, 1, 1, 1),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
@pytest.mark.parametrize("with_other", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_operators_one_by_one(case, with_other, activation):
    c, o, k, pad, stride, dilation, group = case
    torch.manual_seed(1)
    x, weight, bias = torch.randn(2, c, 9, 8), torch.randn(o, c // group, k, k), torch.randn(o)
    expected = F.conv2d(x, weight, bias, stride, pad, dilation, group)
    other = torch.randn_like(expected) if with_other else None
    expected = ACTIVATIONS[activation](expected if other is None else expected + other)
    settings = Settings([pad] * 2, [stride] * 2, [dilation] * 2, group)
    packed = fused.pack(weight, settings, x.shape)
    z = None if other is None else fused.last(other)
    kept = None if z is None else z.clone()
    call = fused.convolution(packed, bias, settings, activation)
    y = call(fused.last(x)) if z is None else call(fused.last(x), z)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert y.stride(1) == 1
    assert z is None or torch.equal(z, kept)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
@pytest.mark.parametrize("with_other", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_products_equal_the_operators_one_by_one(with_bias, with_other, activation):
    torch.manual_seed(1)
    x, weight = torch.randn(2, 5, 4, 3), torch.randn(7, 5, 1, 1)
    bias = torch.randn(7) if with_bias else None
    expected = F.conv2d(x, weight, bias)
    other = torch.randn_like(expected) if with_other else None
    expected = ACTIVATIONS[activation](expected if other is None else expected + other)
    z = None if other is None else fused.last(other)
    kept = None if z is None else z.clone()
    y = fused.product(weight, bias, activation)(fused.last(x), z)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert y.stride() == (84, 1, 21, 7)
    assert z is None or torch.equal(z, kept)


def test_products_are_for_small_pointwise_convolutions():
    plain = Settings([0, 0], [1, 1], [1, 1], 1)
    assert fused.prefers_product([1, 1], plain, (1, 512, 14, 14), 64)
    assert not fused.prefers_product([3, 3], plain, (1, 512, 14, 14), 64)
    assert not fused.prefers_product([1, 1], plain, (1, 512, 14, 14), 1000)  # too much work
    assert not fused.prefers_product([1, 1], plain, (1, 16, 56, 56), 64)  # too many outputs
    for other in (Settings([1, 1], [1, 1], [1, 1], 1), Settings([0, 0], [2, 2], [1, 1], 1)):
        assert not fused.prefers_product([1, 1], other, (1, 512, 14, 14), 64)
    assert not fused.prefers_product([1, 1], Settings([0, 0], [1, 1], [1, 1], 2), (1, 8, 9, 9), 8)


def test_packed_weights_serve_other_shapes():
    weight, settings = torch.randn(8, 4, 3, 3), Settings([1, 1], [1, 1], [1, 1], 1)
    packed = fused.pack(weight, settings, (1, 4, 20, 20))
    for shape in ((1, 4, 3, 50), (5, 4, 7, 7)):
        x = torch.randn(shape)
        y = fused.convolution(packed, None, settings)(fused.last(x))
        torch.testing.assert_close(y, F.conv2d(x, weight, padding=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 1, 3, 4), (1, 5, 1, 1), (2, 3, 1, 4), (1, 3, 4, 1)])
def test_last_has_the_strides_of_channels_last(shape):
    x = torch.randn(shape)
    _, c, h, w = shape
    found = fused.last(x)
    assert torch.equal(found, x)
    assert found.stride() == (h * w * c, 1, w * c, c)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_finite(value):
    x = torch.randn(1, 3, 4, 5)
    assert fused.finite(x)
    x[0, 1, 2, 3] = value
    assert not fused.finite(x)
