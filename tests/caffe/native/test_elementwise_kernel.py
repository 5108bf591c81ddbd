"""Finishes on their own, Eltwise and Crop against PyTorch."""

import ctypes

import native_maps
import pytest
import torch
from native_maps import Wide

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

SHAPES = [(2, 37, 9, 10), (1, 16, 40, 50), (1, 3, 33, 31)]


@pytest.mark.parametrize("act", range(7))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_finish_with_everything(act, shape):
    x, scale = torch.randn(shape), torch.randn(shape[1])
    then = native_maps.some_finish(act, shape)
    given, out = Wide(shape, 2, x), Wide(shape, 5)
    finish = native_maps.finish(**then)
    found = native_maps.run("kernels_finish", out, given, out, scale, finish, threads=2)
    y = x.double() * scale.double().view(1, -1, 1, 1)
    native_maps.assert_close(found, native_maps.finished(y, **then))


@pytest.mark.parametrize("act", [native_maps.RELU, native_maps.LEAKY, native_maps.TANH])
@pytest.mark.parametrize("extra", [0, 3])
def test_a_finish_in_place(act, extra):
    kernels, program = native.library(), native_maps.program()
    x = torch.randn(2, 21, 30, 17)
    m = Wide(x.shape, extra, x)
    finish = native_maps.finish(act, low=0.2)
    arguments = map(native_maps.passed, (m, m, None, finish))
    assert kernels.kernels_finish(program, *arguments) == 0
    assert kernels.kernels_run(program, 2, None) == 0
    kernels.kernels_free(program)
    m.check_guards()
    native_maps.assert_close(m.values(), native_maps.finished(x.double(), act, low=0.2))


@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("operation", ["PROD", "SUM", "weighted", "MAX"])
@pytest.mark.parametrize("shape", SHAPES)
def test_eltwise(operation, count, shape, extra):
    xs = [torch.randn(shape) for _ in range(count)]
    maps = [Wide(shape, extra, x) for x in xs]
    ins = (native_maps.Map * count)(*(m.map for m in maps))
    coefficients = torch.randn(count) if operation == "weighted" else None
    code = {"PROD": 0, "SUM": 1, "weighted": 1, "MAX": 2}[operation]
    out = Wide(shape, extra)
    found = native_maps.run("kernels_eltwise", out, code, count, ins, coefficients, out, threads=2)
    stacked = torch.stack(xs).double()
    if operation == "weighted":
        stacked *= coefficients.double().view(-1, 1, 1, 1, 1)
    expected = {"PROD": stacked.prod(0), "MAX": stacked.amax(0)}.get(operation, stacked.sum(0))
    native_maps.assert_close(found, expected)


def test_an_unknown_eltwise_is_refused():
    kernels, program, m = native.library(), native_maps.program(), Wide((1, 1, 2, 2))
    assert kernels.kernels_eltwise(program, 3, 1, ctypes.byref(m.map), None, m.map) == -1
    kernels.kernels_free(program)


@pytest.mark.parametrize("extra", [0, 4])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 5), (6, 0)])
def test_crop(top, left, extra):
    x = torch.randn(2, 21, 14, 19)
    given, out = Wide(x.shape, extra, x), Wide((2, 21, 8, 13), extra)
    found = native_maps.run("kernels_crop", out, given, out, top, left, threads=3)
    assert torch.equal(found, x[:, :, top : top + 8, left : left + 13])


@pytest.mark.parametrize(("top", "left"), [(-1, 0), (0, -1), (7, 0), (0, 7)])
def test_a_crop_outside_the_map_is_refused(top, left):
    kernels, program = native.library(), native_maps.program()
    given, out = Wide((1, 1, 14, 19)), Wide((1, 1, 8, 13))
    arguments = map(native_maps.passed, (given, out, top, left))
    assert kernels.kernels_crop(program, *arguments) == -1
    kernels.kernels_free(program)
