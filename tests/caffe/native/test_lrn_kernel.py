"""Local response normalization against PyTorch in float64."""

import native_maps
import pytest
import torch
import torch.nn.functional as F
from native_maps import Wide

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.3, 2.5])
@pytest.mark.parametrize("channels", [1, 3, 16, 64, 75])
@pytest.mark.parametrize("size", [1, 3, 5, 9, 37])
def test_across_channels(channels, size, beta):
    x = torch.randn(2, channels, 7, 9) * 50
    alpha, k = 0.02 * size, 1.5
    given, out = Wide(x.shape, 4, x), Wide(x.shape, 2)
    found = native_maps.run(
        "kernels_lrn_across", out, given, out, size, alpha, beta, k, threads=1 + size % 3
    )
    squares = F.pad(x.double().square(), (0, 0, 0, 0, size // 2, size // 2))
    sums = sum(squares[:, i : i + channels] for i in range(size))
    expected = x.double() * (k + alpha / size * sums) ** -beta
    # The sum's own rounding counts beta times.
    assert float((found / expected - 1)[x != 0].abs().max()) < 1e-6 * max(1, beta)


@pytest.mark.parametrize("beta", [0.75, 0.4])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_within_channels(size, beta):
    x = torch.randn(2, 35, 11, 6) * 20
    given, out = Wide(x.shape, 4, x), Wide(x.shape, 2)
    found = native_maps.run("kernels_lrn_within", out, given, out, size, 0.5, beta, threads=2)
    means = F.avg_pool2d(x.double().square(), size, 1, size // 2)
    expected = x.double() * (1 + 0.5 * means) ** -beta
    assert float((found / expected - 1)[x != 0].abs().max()) < 1e-6


def test_the_power_over_all_magnitudes():
    """One channel with alpha 0 has k alone: x * k^-beta."""
    for exponent in range(-30, 31):
        for beta in (0.75, 0.6, 1.0, 3.0):
            k = 1.37 * 2.0**exponent
            given, out = Wide((1, 1, 1, 1), 0, torch.ones(1, 1, 1, 1)), Wide((1, 1, 1, 1))
            found = native_maps.run("kernels_lrn_across", out, given, out, 1, 0.0, beta, k)
            k = float(torch.tensor(k))
            beta = float(torch.tensor(beta))
            assert abs(float(found) / k**-beta - 1) < 5e-7


def test_an_even_size_is_refused():
    kernels, program, m = native.library(), native_maps.program(), Wide((1, 1, 2, 2))
    arguments = map(native_maps.passed, (m, m, 4, 1.0, 0.75, 1.0))
    assert kernels.kernels_lrn_across(program, *arguments) == -1
    kernels.kernels_free(program)
