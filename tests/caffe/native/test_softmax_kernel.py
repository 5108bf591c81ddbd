"""Softmax over channels against PyTorch in float64."""

import native_maps
import pytest
import torch
from native_maps import Wide

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 16, 21, 32, 33, 1000])
@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_softmax(channels, spread, threads):
    x = torch.randn(2, channels, 5, 7) * spread + 100
    given, out = Wide(x.shape, 3, x), Wide(x.shape, 1)
    found = native_maps.run("kernels_softmax", out, given, out, threads=threads)
    expected = x.double().softmax(1)
    # x less the largest x is rounded: that counts with the logarithm of what is found.
    logarithm = expected.log().abs()
    assert bool(((found / expected - 1).abs() < 1e-6 + 1.2e-7 * logarithm)[logarithm < 80].all())
    assert bool((found[logarithm >= 80] < 1e-34).all())


def test_in_place():
    kernels, program = native.library(), native_maps.program()
    x = torch.randn(1, 40, 3, 3)
    m = Wide(x.shape, 2, x)
    assert kernels.kernels_softmax(program, *map(native_maps.passed, (m, m))) == 0
    assert kernels.kernels_run(program, 1, None) == 0
    kernels.kernels_free(program)
    m.check_guards()
    native_maps.assert_close(m.values(), x.double().softmax(1))
