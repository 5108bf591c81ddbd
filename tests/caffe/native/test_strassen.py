"""Pointwise convolutions by seven products in place of eight (c/strassen.c)."""

import ctypes

import native_maps
import pytest
import torch
from native_maps import CLAMP, NONE, RELU, Wide

from caffe import native

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

# Images, channels, height, width, outputs, channels of other maps beside them.
SHAPES = {
    "tiles of 28 pixels": (1, 128, 14, 14, 128, 0),
    "odd tiles, three vectors of outputs": (3, 160, 9, 7, 160, 3),
    "many tiles": (2, 128, 21, 23, 192, 0),
    "many tiles, three vectors": (1, 128, 25, 29, 224, 5),
    "64 channels, one panel": (1, 64, 25, 29, 96, 2),
    "pixels 4 KB apart": (1, 128, 10, 13, 160, 896),
    "many weights": (1, 384, 10, 10, 320, 0),
    "sums in two turns": (1, 256, 30, 31, 512, 0),
}


def convolved(x, weight, finish, extra=0, threads=1):
    given, out = Wide(x.shape, extra, x), Wide((len(x), len(weight), *x.shape[2:]), extra)
    return native_maps.run(
        "kernels_convolution", out, given, out, native_maps.window(1), weight, 0, finish,
        threads=threads,
    )  # fmt: skip


@pytest.mark.parametrize("act", [NONE, RELU, CLAMP])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_products_with_all_that_is_done_to_them(shape, act):
    torch.manual_seed(5)
    images, channels, height, width, outputs, extra = SHAPES[shape]
    x, weight = torch.randn(images, channels, height, width), torch.randn(outputs, channels, 1, 1)
    then = native_maps.some_finish(act, (images, outputs, height, width))
    found = convolved(x, weight, native_maps.finish(**then), extra)
    y = torch.conv2d(x.double(), weight.double())
    off = (found - native_maps.finished(y, **then)).abs().max()
    assert off <= 2e-6 * y.abs().max()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_do_not_depend_on_the_threads(shape):
    images, channels, height, width, outputs, extra = SHAPES[shape]
    x, weight = torch.randn(images, channels, height, width), torch.randn(outputs, channels, 1, 1)
    one, *others = (
        convolved(x, weight, native_maps.finish(), extra, threads) for threads in (1, 2, 3)
    )
    assert all(torch.equal(one, other) for other in others)


def test_outputs_of_small_weights_keep_their_digits():
    """Quarters of the weights are added to each other: magnitudes must not mix."""
    x, weight = torch.randn(1, 128, 14, 14), torch.randn(128, 128, 1, 1)
    weight[::3] *= 1e-6
    weight[1::3] *= 1e6
    weight[7] = 0
    found = convolved(x, weight, native_maps.finish())
    y = torch.conv2d(x.double(), weight.double())
    off = (found - y).abs().amax((0, 2, 3))
    assert (off <= 4e-6 * y.abs().amax((0, 2, 3))).all()
    assert (found[0, 7] == 0).all()


def test_inputs_of_other_magnitudes_keep_their_digits():
    """So are quarters of the map: what counts is the share that an input has in the sums."""
    x, weight = torch.randn(1, 128, 14, 14), torch.randn(128, 128, 1, 1)
    sizes = 10 ** torch.linspace(-4, 4, 128)[torch.randperm(128)].view(1, -1, 1, 1)
    x, weight = x * sizes, weight / sizes
    weight[:, 5] = 0
    found = convolved(x, weight, native_maps.finish())
    y = torch.conv2d(x.double(), weight.double())
    assert (found - y).abs().max() <= 4e-6 * y.abs().max()


def test_an_image_does_not_depend_on_its_neighbours():
    x, weight = torch.randn(8, 128, 7, 7), torch.randn(128, 128, 1, 1)
    x[1::2] *= 1e6
    found = convolved(x, weight, native_maps.finish())[::2]
    y = torch.conv2d(x[::2].double(), weight.double())
    assert (found - y).abs().max() <= 4e-6 * y.abs().max()


def test_groups_stored_as_one_matrix_do_not_mix():
    x, weight = torch.randn(1, 256, 14, 14), torch.randn(256, 256, 1, 1)
    weight[:128, 128:] = weight[128:, :128] = 0
    x[:, :128] *= 1e5
    found = convolved(x, weight, native_maps.finish())
    y = torch.conv2d(x.double(), weight.double())
    off = (found - y).abs().amax((0, 2, 3))
    assert (off <= 4e-6 * y.abs().amax((0, 2, 3))).all()


def test_what_is_added_may_not_be_what_is_written():
    """Pixels that two tiles share would be added twice: another way takes such a convolution."""
    x, weight = torch.randn(1, 128, 9, 21), torch.randn(128, 128, 1, 1)
    given, out = Wide(x.shape, 0, x), Wide(x.shape, 0, torch.ones(x.shape))
    finish = native_maps.finish(other=out)
    maps = [ctypes.byref(wide.map) for wide in (given, out)]
    program, kernels = native_maps.program(), native.library()
    data = ctypes.c_void_p(weight.data_ptr())
    window = ctypes.byref(native_maps.window(1))
    assert kernels.kernels_convolution(program, *maps, window, data, 0, ctypes.byref(finish)) == 0
    assert kernels.kernels_run(program, 2, None) == 0
    y = torch.conv2d(x.double(), weight.double()) + 1
    assert (out.values() - y).abs().max() <= 2e-6 * y.abs().max()
    kernels.kernels_free(program)
