"""Inner products of a few images against PyTorch in float64."""

import ctypes

import native_maps
import pytest
import torch
from native_maps import Wide

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    ("shape", "outputs"), [((50, 4, 4), 500), ((500, 1, 1), 10), ((19, 3, 5), 33), ((3, 2, 1), 1)]
)
def test_inner_product(shape, outputs, images, threads):
    x = torch.randn(images, *shape)
    weight, bias = torch.randn(outputs, x[0].numel()), torch.randn(outputs)
    given, out = Wide(x.shape, 5, x), Wide((images, outputs, 1, 1), 3)
    finish = native_maps.finish(bias=bias)
    found = native_maps.run(
        "kernels_inner_product", out, given, out, weight, finish, threads=threads
    )
    y = x.double().flatten(1) @ weight.double().T + bias.double()
    native_maps.assert_close(found, y[..., None, None])


@pytest.mark.parametrize("act", range(7))
def test_the_finish(act):
    x, weight = torch.randn(2, 30, 3, 3), torch.randn(37, 270) / 16
    given, out = Wide(x.shape, 0, x), Wide((2, 37, 1, 1))
    then = native_maps.some_finish(act, (2, 37, 1, 1))
    finish = native_maps.finish(**then)
    found = native_maps.run("kernels_inner_product", out, given, out, weight, finish)
    y = x.double().flatten(1) @ weight.double().T
    native_maps.assert_close(found, native_maps.finished(y[..., None, None], **then))


@pytest.mark.parametrize("images", [1, 3])
def test_many_weights_are_read_where_they_lie(images):
    shape, outputs = (131, 4, 4), 1003  # more than c/inner_product.c copies
    x, weight = torch.randn(images, *shape), torch.randn(outputs, 2096)
    given, out = Wide(x.shape, 5, x), Wide((images, outputs, 1, 1), 3)
    finish = native_maps.finish()
    found = native_maps.run("kernels_inner_product", out, given, out, weight, finish, threads=2)
    y = x.double().flatten(1) @ weight.double().T
    native_maps.assert_close(found, y[..., None, None])


@pytest.mark.parametrize("threads", [1, 2])
def test_each_run_of_a_program_gives_the_same_bits(threads):
    """The rows of weights are read in turns from the first and from the last."""
    x, weight = Wide((2, 800, 1, 1), 0, torch.randn(2, 800, 1, 1)), torch.randn(500, 800)
    out, kernels = Wide((2, 500, 1, 1)), native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    program = ctypes.c_void_p(kernels.kernels_new())
    maps = [ctypes.byref(wide.map) for wide in (x, out)]
    data, finish = ctypes.c_void_p(weight.data_ptr()), ctypes.byref(native_maps.finish())
    assert kernels.kernels_inner_product(program, *maps, data, finish) == 0
    found = []
    for _ in range(4):
        out.memory.zero_()
        assert kernels.kernels_run(program, threads, None) == 0
        found.append(out.memory.clone())
    kernels.kernels_free(program)
    assert found[0].count_nonzero() == 1000
    assert all(torch.equal(found[0], other) for other in found)
