"""Deconvolutions against PyTorch in float64."""

import native_maps
import pytest
import torch
import torch.nn.functional as F
from native_maps import Wide

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

WINDOWS = [  # kernel, stride, pad
    (4, 2, 0), (4, 2, 1), (16, 8, 4), (64, 32, 0), (8, 4, 2), (2, 2, 0), (3, 2, 1), (3, 1, 1),
    (5, 2, 0), (2, 3, 0), (1, 2, 0), ((4, 3), (2, 1), (1, 2)), ((3, 6), (3, 2), (0, 3)),
]  # fmt: skip


def _pair(x):
    return x if isinstance(x, tuple) else (x, x)


def _check(name, shape, outputs, case, threads=1, act=None):
    kernel, stride, pad = map(_pair, case)
    x = torch.randn(shape)
    alone = name.endswith("by_channel")
    weight = torch.randn(shape[1], 1 if alone else outputs, *kernel)
    if act is not None:  # results where activations bend
        weight /= 10
    groups = outputs if alone else 1
    y = F.conv_transpose2d(x.double(), weight.double(), None, stride, pad, groups=groups)
    then = {} if act is None else native_maps.some_finish(act, y.shape)
    given, out = Wide(x.shape, 5, x), Wide(y.shape, 3)
    window, finish = native_maps.window(*case, 1, groups), native_maps.finish(**then)
    found = native_maps.run(name, out, given, out, window, weight, finish, threads=threads)
    # Against the largest sum: activations make results small, not their errors.
    tolerance = 1e-6 * max(1.0, float(y.abs().max()))
    native_maps.assert_close(found, native_maps.finished(y, **then), tolerance)


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize(("channels", "threads"), [(1, 1), (2, 2), (21, 3), (48, 2)])
def test_by_channel(case, channels, threads):
    _check("kernels_deconvolution_by_channel", (2, channels, 5, 4), channels, case, threads)


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize(
    ("inputs", "outputs", "threads"), [(1, 1, 1), (21, 21, 2), (19, 37, 3), (7, 50, 2), (40, 67, 1)]
)
def test_all_to_all(case, inputs, outputs, threads):
    _check("kernels_deconvolution", (2, inputs, 5, 8), outputs, case, threads)


@pytest.mark.parametrize("act", range(7))
@pytest.mark.parametrize("name", ["kernels_deconvolution_by_channel", "kernels_deconvolution"])
@pytest.mark.parametrize("case", [(4, 2, 1), (3, 1, 1)])
def test_the_finish(name, act, case):
    _check(name, (2, 21, 6, 7), 21, case, 2, act)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "inputs", "outputs"), [(2, 64, 32), (2, 33, 21), (3, 40, 16), ((1, 2), 35, 50)]
)
def test_windows_that_do_not_overlap(kernel, inputs, outputs, images, threads):
    shape = (images, inputs, 9, 7)
    _check("kernels_deconvolution", shape, outputs, (kernel, kernel, 0), threads)


@pytest.mark.parametrize("act", range(7))
def test_the_finish_where_windows_do_not_overlap(act):
    x, weight = torch.randn(1, 32, 5, 6), torch.randn(32, 21, 2, 2) / 6
    y = F.conv_transpose2d(x.double(), weight.double(), None, 2)
    then = native_maps.some_finish(act, y.shape) | {"other": None}
    given, out = Wide(x.shape, 2, x), Wide(y.shape, 3)
    window, finish = native_maps.window(2, 2), native_maps.finish(**then)
    found = native_maps.run("kernels_deconvolution", out, given, out, window, weight, finish)
    tolerance = 1e-6 * max(1.0, float(y.abs().max()))
    native_maps.assert_close(found, native_maps.finished(y, **then), tolerance)


def test_a_crop_of_the_result_is_a_pad():
    x, weight = torch.randn(1, 5, 6, 7), torch.randn(5, 1, 8, 8)
    y = F.conv_transpose2d(x.double(), weight.double(), None, 4, 0, groups=5)
    given, out = Wide(x.shape, 0, x), Wide((1, 5, 20, 21), 3)
    window = native_maps.window(8, 4, (3, 5), 1, 5)
    found = native_maps.run(
        "kernels_deconvolution_by_channel", out, given, out, window, weight, None
    )
    native_maps.assert_close(found, y[:, :, 3:23, 5:26])


def test_what_is_refused():
    kernels, program, m = native.library(), native_maps.program(), Wide((1, 2, 4, 4))
    weight = torch.randn(2, 2, 2, 2)
    for window in (native_maps.window(2, 2, 0, 2), native_maps.window(2, 2, 0, 1, 2)):
        arguments = [*map(native_maps.passed, (m, m, window, weight)), None]
        assert kernels.kernels_deconvolution(program, *arguments) == -1
    kernels.kernels_free(program)
