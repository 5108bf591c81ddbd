"""Max pooling that learns, by the native kernels, against a plain search."""

import numpy as np
import pytest
import torch

from caffe import native
from caffe.native import places

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]

CASES = [  # shape, kernel, stride, pad, out
    ((2, 3, 12, 12), (2, 2), (2, 2), (0, 0), (6, 6)),
    ((1, 20, 24, 24), (2, 2), (2, 2), (0, 0), (12, 12)),
    ((2, 17, 9, 35), (3, 3), (2, 2), (1, 1), (5, 18)),
    ((1, 1, 7, 40), (3, 2), (1, 1), (0, 0), (5, 39)),
    ((3, 33, 10, 11), (3, 3), (3, 4), (0, 1), (4, 3)),
    ((1, 5, 6, 6), (3, 3), (5, 5), (2, 2), (2, 2)),
    ((2, 16, 4, 4), (4, 4), (1, 1), (0, 0), (1, 1)),
]
CONTIGUOUS, LAST = torch.contiguous_format, torch.channels_last


def plainly(x, kernel, stride, pad, out):
    """Caffe's loop: the maxima and their places."""
    n, c, h, w = x.shape
    y = np.full((n, c, *out), np.finfo(np.float32).min, np.float32)
    at = np.full(y.shape, -1)
    for i, j, r, s in np.ndindex(*y.shape):
        top, left = r * stride[0] - pad[0], s * stride[1] - pad[1]
        for a in range(max(0, top), min(h, top + kernel[0])):
            for b in range(max(0, left), min(w, left + kernel[1])):
                if x[i, j, a, b] > y[i, j, r, s]:
                    y[i, j, r, s], at[i, j, r, s] = x[i, j, a, b], a * w + b
    return y, at


def spread(g, at, shape):
    d = np.zeros((*shape[:2], shape[2] * shape[3]), np.float32)
    for i, j, r, s in np.ndindex(*g.shape):
        if at[i, j, r, s] >= 0:
            d[i, j, at[i, j, r, s]] += g[i, j, r, s]
    return d.reshape(shape)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("layout", [CONTIGUOUS, LAST], ids=["first", "last"])
@pytest.mark.parametrize("case", CASES, ids=[str(c[0]) for c in CASES])
def test_maxima_places_and_gradients_are_those_of_a_plain_search(case, layout, threads):
    shape, *sizes, out = case
    random = np.random.RandomState(1)
    x = random.randint(-3, 4, shape).astype(np.float32)  # many are equal: the first one wins
    x[random.rand(*shape) < 0.1] = np.nan
    x[random.rand(*shape) < 0.1] = -np.inf
    given = torch.from_numpy(x).contiguous(memory_format=layout)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y, at = places.forward(given, *sizes, out)
        g = random.randn(*y.shape).astype(np.float32)
        d = places.backward(torch.from_numpy(g), at, shape, *sizes)
    finally:
        torch.set_num_threads(before)
    expected, where = plainly(x, *sizes, out)
    np.testing.assert_array_equal(y.numpy(), expected)
    np.testing.assert_array_equal(at.numpy(), where)
    assert y.is_contiguous(memory_format=layout)
    assert out == (1, 1) or d.is_contiguous(memory_format=layout)
    np.testing.assert_allclose(d.numpy(), spread(g, where, shape), rtol=1e-6, atol=1e-6)


def test_a_bottom_in_no_order_of_its_own_is_laid_out_first():
    x = torch.randn(2, 6, 8, 8).transpose(2, 3)
    y, at = places.forward(x, (2, 2), (2, 2), (0, 0), (4, 4))
    expected, where = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(y, expected) and torch.equal(at.long(), where)


def test_other_types_are_not_taken():
    assert places.applies(torch.ones(1, 1, 2, 2))
    assert not places.applies(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16))
    assert not places.applies(torch.ones(1, 1, 2, 2, device="meta"))
