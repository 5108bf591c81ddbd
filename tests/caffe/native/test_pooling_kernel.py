"""Max and average pooling against PyTorch, with Caffe's sizes."""

import math

import native_maps
import pytest
import torch
import torch.nn.functional as F

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

WINDOWS = [  # kernel, stride, pad
    (2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), ((3, 2), (1, 2), (1, 0)), (7, 1, 0),
]  # fmt: skip


def _pair(x):
    return x if isinstance(x, tuple) else (x, x)


def _size(size, kernel, stride, pad):
    """Caffe's size of a pooled side: the last window starts in the image."""
    found = math.ceil((size + 2 * pad - kernel) / stride) + 1
    return found - 1 if pad and (found - 1) * stride >= size + pad else found


def _windows(x, kernel, stride, pad):
    """Output row, column, and the window's part in the image, and Caffe's divisor."""
    (kh, kw), (sh, sw), (ph, pw) = map(_pair, (kernel, stride, pad))
    h, w = x.shape[2:]
    for i in range(_size(h, kh, sh, ph)):
        for j in range(_size(w, kw, sw, pw)):
            top, left = i * sh - ph, j * sw - pw
            bottom, right = min(top + kh, h + ph), min(left + kw, w + pw)
            divisor = (bottom - top) * (right - left)
            yield i, j, x[:, :, max(top, 0) : min(bottom, h), max(left, 0) : min(right, w)], divisor


def _pooled(x, kernel, stride, pad, average):
    windows = list(_windows(x.double(), kernel, stride, pad))
    shape = (*x.shape[:2], windows[-1][0] + 1, windows[-1][1] + 1)
    y = torch.empty(shape, dtype=torch.float64)
    for i, j, part, divisor in windows:
        y[:, :, i, j] = part.sum((2, 3)) / divisor if average else part.amax((2, 3))
    return y


@pytest.mark.parametrize("name", ["kernels_max_pool", "kernels_average_pool"])
@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize(("channels", "threads"), [(5, 1), (64, 3), (83, 2), (147, 1)])
def test_pooling(name, case, channels, threads):
    x = torch.randn(2, channels, 12, 9) - 2
    expected = _pooled(x, *case, average="average" in name)
    out = native_maps.Wide(expected.shape, 7)
    given = native_maps.Wide(x.shape, 4, x)
    y = native_maps.run(name, out, given, out, native_maps.window(*case), threads=threads)
    native_maps.assert_close(y, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_mean_of_a_whole_map(threads):
    x = torch.randn(1, 1000, 7, 7)
    out = native_maps.Wide((1, 1000, 1, 1))
    given = native_maps.Wide(x.shape, 0, x)
    window = native_maps.window(7)
    y = native_maps.run("kernels_average_pool", out, given, out, window, threads=threads)
    native_maps.assert_close(y, F.adaptive_avg_pool2d(x.double(), 1))


def test_a_dilated_pooling_is_refused():
    kernels, program, m = native.library(), native_maps.program(), native_maps.Wide((1, 1, 4, 4))
    window = native_maps.window(2, 1, 0, 2)
    arguments = map(native_maps.passed, (m, m, window))
    assert kernels.kernels_max_pool(program, *arguments) == -1
    kernels.kernels_free(program)
