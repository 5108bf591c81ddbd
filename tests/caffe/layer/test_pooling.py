"""Pooling: Caffe's sizes, window edges, ties, masks and special values."""

import itertools
import math

import numpy as np
import pytest
import torch
from harness import Rig, check_gradient, close, random

from caffe import native
from caffe.errors import LayerError, ShapeError
from caffe.layer import Need

LOWEST = np.finfo(np.float32).min


def pool(body: str, shape=(2, 3, 7, 6), tops: int = 1) -> Rig:
    return Rig(f'type: "Pooling" pooling_param {{ {body} }}', shape, tops=tops)


def distinct(*shape):
    values = np.random.default_rng(0).permutation(math.prod(shape))
    return (values.reshape(shape) / 8).astype(np.float32)


def direct(x, kernel, stride, pad, maximum, ceil):
    """Caffe's rules, written out for one plane after the other."""
    sizes, rounded = [], math.ceil if ceil else math.floor
    for n in x.shape[2:]:
        sizes.append(rounded((n + 2 * pad - kernel) / stride) + 1)
    if pad:
        sizes = [m - 1 if (m - 1) * stride >= n + pad else m for m, n in zip(sizes, x.shape[2:])]
    y = np.empty((*x.shape[:2], *sizes))
    for (n, c), (i, j) in itertools.product(
        np.ndindex(*x.shape[:2]), itertools.product(*map(range, sizes))
    ):
        edges = [(k * stride - pad) for k in (i, j)]
        ends = [min(a + kernel, s + pad) for a, s in zip(edges, x.shape[2:])]
        area = (ends[0] - edges[0]) * (ends[1] - edges[1])
        (top, left), (bottom, right) = [max(a, 0) for a in edges], ends
        window = x[n, c, top : max(bottom, 0), left : max(right, 0)]
        if maximum:
            y[n, c, i, j] = window.max(initial=LOWEST)
        else:
            y[n, c, i, j] = window.sum(dtype=np.float64) / area
    return y


@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    "kernel, stride, pad", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 2), (4, 3, 3), (2, 3, 1)]
)
def test_forward_and_gradient(device, method, mode, kernel, stride, pad):
    rig = pool(
        f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad} round_mode: {mode}",
        (2, 1, 5, 4),
    )
    x = distinct(2, 1, 5, 4)
    close(rig.forward(x), direct(x, kernel, stride, pad, method == "MAX", mode == "CEIL"))
    if device == "cpu":
        check_gradient(rig, x)


def test_the_default_rounds_up():
    assert pool("kernel_size: 2 stride: 2", (1, 1, 5, 5)).top[0].dims == (1, 1, 3, 3)
    floor = "kernel_size: 2 stride: 2 round_mode: FLOOR"
    assert pool(floor, (1, 1, 5, 5)).top[0].dims == (1, 1, 2, 2)


@pytest.mark.parametrize("method, outside", [("MAX", LOWEST), ("AVE", 0.0)])
def test_without_pad_a_window_may_lie_outside(method, outside):
    """4 pixels, kernel 3, stride 5: the second window starts at 5."""
    rig = pool(f"pool: {method} kernel_size: 3 stride: 5", (1, 1, 4, 4))
    x = random(1, 1, 4, 4)
    y = rig.forward(x)
    assert y.shape == (1, 1, 2, 2)
    first = x[0, 0, :3, :3]
    assert np.isclose(y[0, 0, 0, 0], first.max() if method == "MAX" else first.mean())
    assert y[0, 0, 1, 1] == outside
    (d,) = rig.backward(1.0)
    assert np.isclose(d.sum(), 1) and not d[0, 0, 3].any()


def test_the_first_maximum_wins():
    rig = pool("kernel_size: 3 stride: 3", (1, 1, 3, 3), tops=2)
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 2] = x[0, 0, 1, 0] = 5
    rig.forward(x)
    assert rig.top[1].data.item() == 2
    (d,) = rig.backward(1.0)
    assert d[0, 0, 0, 2] == 1 and d.sum() == 1


@pytest.mark.parametrize("pad", [0, 2])
def test_the_mask_is_the_index_in_the_plane(pad):
    rig = pool(f"kernel_size: 3 stride: 2 pad: {pad}", tops=2)
    x = distinct(2, 3, 7, 6)
    y = rig.forward(x)
    index = rig.top[1].data.astype(int)
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(2, 3, -1), index.reshape(2, 3, -1), 2), y.reshape(2, 3, -1)
    )


def test_backward_reads_the_second_top():
    rig = pool("kernel_size: 2 stride: 2", (1, 1, 2, 2), tops=2)
    rig.forward(random(1, 1, 2, 2))
    rig.top[1].data[...] = 3
    (d,) = rig.backward(2.0)
    assert d.ravel().tolist() == [0, 0, 0, 2]


@pytest.mark.cpu_only
def test_nan_and_minus_infinity_never_win():
    rig = pool("kernel_size: 2 stride: 2", (1, 1, 2, 6), tops=2)
    nan, inf = np.nan, np.inf
    rig.forward(np.array([[nan, 3, nan, nan, 1, inf], [nan, 2, nan, -inf, 2, 3]])[None, None])
    assert rig.top[0].data.ravel().tolist() == [3, LOWEST, inf]
    assert rig.top[1].data.ravel().tolist() == [1, -1, 5]
    (d,) = rig.backward(1.0)
    assert d[0, 0].tolist() == [[0, 1, 0, 0, 0, 1], [0] * 6]


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_global_pooling_follows_the_image(method):
    rig = pool(f"pool: {method} global_pooling: true", (2, 3, 4, 5))
    x = distinct(2, 3, 4, 5)
    close(rig.forward(x), getattr(x, "max" if method == "MAX" else "mean")((2, 3), keepdims=True))
    assert rig.reshape((1, 3, 9, 2)) == [(1, 3, 1, 1)]
    check_gradient(rig, distinct(1, 3, 9, 2))


@pytest.mark.parametrize(
    "body, message",
    [
        ("stride: 2", "needs kernel_size"),
        ("kernel_h: 2", "kernel_h and kernel_w must be given together"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "not both"),
        ("kernel_size: 2 stride_h: 2", "stride_h and stride_w must be given together"),
        ("kernel_size: 2 pad: 2", "must be smaller than the kernel"),
        ("kernel_size: 2 stride: 0", "stride must be positive"),
        ("kernel_size: 2 global_pooling: true", "cannot be given"),
        ("global_pooling: true pad: 1", "needs pad 0 and stride 1"),
        ("kernel_size: 2 pool: STOCHASTIC pad: 1", "STOCHASTIC pooling takes no pad"),
    ],
)
def test_bad_settings_are_refused(body, message):
    with pytest.raises(LayerError, match=message):
        pool(body)


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="4 axes"):
        pool("kernel_size: 2", (2, 3, 4))
    with pytest.raises(ShapeError, match="does not fit"):
        pool("kernel_size: 5", (1, 1, 3, 3))
    for method in ("AVE", "STOCHASTIC"):
        with pytest.raises(LayerError, match="mask"):
            pool(f"kernel_size: 2 pool: {method}", tops=2)


@pytest.mark.parametrize("text", ["kernel_size: 2 stride: 3", "kernel_size: 2 stride: 2 pad: 1"])
def test_on_a_gpu_nobody_waits_whether_windows_see_the_image(pretend, text):
    """Where one lies outside, its maximum is the lowest number, found without a look."""
    x = random(1, 2, 4, 4)
    rig = pool(f"pool: MAX {text}", x.shape)
    rig.forward(x)
    rig.layer.all_see_image = False
    with pretend.counting() as counts:
        rig.layer.forward_blobs(rig.bottom, rig.top)
        rig.layer.backward_blobs(rig.top, Need((True,), ()), rig.bottom)
    assert counts["sync"] == 0, counts.lines("sync")


@pytest.mark.parametrize("joined", [False, True])
def test_large_maps_by_themselves_are_pooled_by_the_native_kernels(monkeypatch, joined):
    """Places of two bytes, which take longer to find, are for a convolution before the pooling."""
    x = torch.randn(1, 64, 128, 130).contiguous(memory_format=torch.channels_last)
    rig = Rig('type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }', x.shape)
    monkeypatch.setattr(rig.layer, "joined", joined)
    y = rig.layer.forward([x], [])[0]
    g = torch.randn(y.shape).contiguous(memory_format=torch.channels_last)
    (d,), _ = rig.layer.backward([y], [g], [x], [], Need((True,), ()))
    exact = x.clone().requires_grad_()
    expected = torch.nn.functional.max_pool2d(exact, 2)
    expected.backward(g)
    assert torch.equal(y, expected.detach()) and torch.equal(d, exact.grad)
    if native.available():
        assert rig.layer.index.dtype is (torch.int16 if joined else torch.int32)
