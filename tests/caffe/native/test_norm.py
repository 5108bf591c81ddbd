"""Batch normalization by the native kernels, against the formula in float64."""

import numpy as np
import pytest
import torch

from caffe import native
from caffe.native import norm

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]

FIRST, LAST = torch.contiguous_format, torch.channels_last
EPS, DECAY = 1e-5, 0.9
SHAPES = [
    (2, 16, 5, 7), (1, 24, 9, 9), (3, 3, 11, 6), (2, 70, 3, 3), (4, 1, 17, 5), (1, 33, 1, 2),
    (2, 48, 40, 40), (1, 1040, 2, 3), (2, 24, 83, 85),
]  # fmt: skip
ACTS = {"none": None, "relu": norm.Act(0, float("inf")), "relu6": norm.Act(0, 6)}


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def blobs(c):
    return torch.randn(c), torch.rand(c) + 0.5, torch.tensor([1.7])


def exactly(x, scale, shift, statistics, stored, act, other):
    """(y, mean, variance) of the formula in float64."""
    mean, variance, number = (t.double() for t in statistics)
    if stored:
        mean, variance = mean / number, variance / number
    else:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    spread = [t.view(-1, 1, 1) for t in (mean, (variance + EPS).rsqrt(), scale.double(), shift)]
    y = (x - spread[0]) * spread[1] * spread[2] + spread[3]
    if other is not None:
        y = y + other
    return (y if act is None else y.clamp(*act)), mean, variance


def close(found, exact, what, least=1e-30):
    found, exact = found.double(), exact.detach()
    largest = max(float(exact.abs().max()), least)
    assert float((found - exact).abs().max()) <= 1e-6 * largest, what


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("stored", [False, True], ids=["batch", "stored"])
@pytest.mark.parametrize("layout", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("added", [False, True], ids=["alone", "sum"])
def test_passes_are_those_of_the_formula(shape, layout, stored, act, added, threads):
    c, act = shape[1], ACTS[act]
    x = torch.randn(shape).mul_(3).add_(2).contiguous(memory_format=layout)
    other = torch.randn(shape).contiguous(memory_format=layout) if added else None
    scale, shift, statistics = torch.randn(c), torch.randn(c), blobs(c)
    before = [t.clone() for t in statistics]
    wanted = {"x": x, "scale": scale, "shift": shift}
    if added:
        wanted["other"] = other
    exact = {k: v.double().requires_grad_() for k, v in wanted.items()}
    operands = [exact["x"], exact["scale"], exact["shift"]]
    expected, mean, variance = exactly(*operands, before, stored, act, exact.get("other"))
    decay = None if stored else DECAY
    y, kept = norm.forward(x, scale, shift, statistics, EPS, decay, act, other)
    close(y, expected, "y")
    m = x.numel() // c
    if stored:
        for found, was in zip(statistics, before):
            assert torch.equal(found, was)
    else:
        close(statistics[0], before[0] * DECAY + mean, "mean")
        close(statistics[1], before[1] * DECAY + variance * m / (m - 1), "variance")
        close(statistics[2], before[2].double() * DECAY + 1, "number")
    # Where y is rounded to an end of the activation the gradient may be either: leave it out.
    g = torch.randn(shape)
    if act is not None:
        g[sum((expected - end).abs() < 1e-5 for end in act[:1] + act[1:] if end < 9) > 0] = 0
    expected.backward(g.double())
    parts = (g,) if shape[0] > 1 else (g * 0.25, g * 0.75)
    result = y if added and act is not None else None
    found = norm.backward(parts, x, kept, stored, act, result, passes=added)
    # Sums may cancel, and the gradient of x: what they are made of counts.
    total = float(g.abs().sum() / c) * 0.1
    factor = float((scale / (variance.detach() + EPS).sqrt()).abs().max())
    least = {"x": factor, "scale": total, "shift": total, "other": 1}
    for name in wanted:
        value = found.passed if name == "other" else getattr(found, name)
        close(value, exact[name].grad, name, least[name])
    for t in (y, found.x):
        assert t.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("mean, first", [(1000, None), (1000, 0), (-30000, None), (1, 1e6)])
def test_a_mean_that_is_large_beside_the_deviation_loses_nothing(layout, mean, first, threads):
    """Also where the first number of a channel, from which differences are taken, is far off."""
    x = torch.randn(4, 19, 30, 31).add_(mean)
    if first is not None:
        x[0, :, 0, 0] = first
    x = x.contiguous(memory_format=layout)
    scale, shift, statistics = torch.ones(19), torch.zeros(19), blobs(19)
    y, kept = norm.forward(x, scale, shift, statistics, EPS, 0.0)
    exact = x.double().requires_grad_()
    ones, zeros = scale.double(), shift.double()
    expected, by, variance = exactly(exact, ones, zeros, statistics, False, None, None)
    close(y, expected, "y")
    close(statistics[0], by, "mean")
    m = x.numel() / 19
    close(statistics[1], variance * m / (m - 1), "variance")
    g = torch.randn(x.shape)
    expected.backward(g.double())
    found = norm.backward((g,), x, kept, False)
    close(found.x, exact.grad, "gradient")


@pytest.mark.parametrize("layout", [FIRST, LAST], ids=["first", "last"])
def test_a_channel_of_equal_numbers_is_normalized_to_zero(layout):
    x = torch.full((2, 20, 9, 9), 1e6 + 1 / 16).contiguous(memory_format=layout)
    statistics = blobs(20)
    y, kept = norm.forward(x, torch.ones(20), None, statistics, EPS, 0.0)
    assert not y.any() and not statistics[1].any()
    assert torch.allclose(kept[norm.INVERSE], torch.full((20,), EPS**-0.5))


@pytest.mark.parametrize("layout", [FIRST, LAST], ids=["first", "last"])
def test_results_do_not_depend_on_the_number_of_threads(layout):
    x, g = (torch.randn(3, 40, 33, 35).contiguous(memory_format=layout) for _ in range(2))
    scale, shift, act = torch.randn(40), torch.randn(40), ACTS["relu"]
    statistics, results, before = blobs(40), [], torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            own = tuple(t.clone() for t in statistics)
            y, kept = norm.forward(x, scale, shift, own, EPS, DECAY, act)
            results.append([*own, y, kept, *norm.backward((g,), x, kept, False, act)[:3]])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_what_is_not_a_number_stays_so():
    x = torch.zeros(1, 16, 2, 2)
    x[0, 3, 1, 1] = np.nan
    statistics = torch.zeros(16), torch.ones(16), torch.ones(1)
    y, kept = norm.forward(x, torch.ones(16), None, statistics, EPS, None, ACTS["relu"])
    assert torch.equal(y.isnan(), x.isnan())
    g = torch.ones_like(x)
    assert norm.backward((g,), x, kept, True, ACTS["relu"], passes=True).passed[0, 3, 1, 1] == 1


def test_other_types_are_not_taken():
    assert norm.applies(torch.ones(1, 1, 2, 2))
    assert not norm.applies(torch.ones(1, 0, 2, 2))
    assert not norm.applies(torch.ones(1, 1, 2, 2, dtype=torch.float64))
