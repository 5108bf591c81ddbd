"""The ways to a convolution on a GPU, on ordinary tensors, against PyTorch in float64."""

import pytest
import torch

from caffe.kernels import device, tuning
from caffe.kernels.device import Settings
from caffe.storage import Storage

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def _columns_for_small_weights(monkeypatch):
    monkeypatch.setattr(device, "_COLUMNS_LEAST_WEIGHTS", 1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["nchw", "nhwc"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(7, 1, 0), (3, 2, 1), (1, 1, 0)])
def test_every_way_gives_the_same(kernel, stride, pad, layout):
    g = torch.Generator().manual_seed(kernel)
    x = torch.randn(2, 6, 9, 11, generator=g).contiguous(memory_format=layout)
    w = torch.randn(8, 6, kernel, kernel, generator=g).contiguous(memory_format=layout)
    b = torch.randn(8, generator=g)
    settings = Settings([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1)
    leaves = [t.double().requires_grad_() for t in (x, w, b)]
    want = torch.conv2d(*leaves, stride, pad)
    for relu in (False, True):
        ways = device._forward_ways(x, w, b, settings, relu)
        assert len(ways) == 2
        for way in ways:
            y = way()
            expected = want.relu() if relu else want
            assert y.shape == want.shape
            assert (y - expected).abs().max() <= 1e-5 * want.abs().max()
    dy = torch.randn(want.shape, generator=g).contiguous(memory_format=layout)
    want.backward(dy.double())
    counts = [2, 2, 4 if layout is torch.channels_last else 2]
    for leaf, ways, count in zip(leaves, device._backward_ways(dy, x, w, settings, 8), counts):
        assert len(ways) == count
        for way in ways:
            assert way().shape == leaf.shape
            assert (way() - leaf.grad).abs().max() <= 1e-5 * leaf.grad.abs().max()


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("group", [1, 2])
def test_a_shape_that_may_not_come_again_needs_no_plan_of_cudnns(dilation, group, monkeypatch):
    x, w, b = torch.randn(2, 6, 9, 11), torch.randn(8, 6 // group, 3, 3), torch.randn(8)
    settings = Settings([2, 1], [1, 2], [dilation] * 2, False, [0, 0], group)
    storages = [Storage(w.numel()), Storage(8)]
    want = torch.convolution(x, w, b, *settings).relu()
    calls = []
    convolution = torch.convolution
    monkeypatch.setattr(torch, "convolution", lambda *given: calls.append(1) or convolution(*given))
    with tuning.passing():
        y = device.forward(x, w, b, storages, settings, relu=True)
    assert not calls
    assert (y - want).abs().max() <= 1e-5 * want.abs().max()
    monkeypatch.setattr(device, "_COLUMNS_MOST_NUMBERS", 100)  # too much memory
    with tuning.passing():
        device.forward(x, w, b, storages, settings, relu=True)
    assert len(calls) == 1


@pytest.mark.parametrize("group", [1, 3, 6])
def test_a_transposed_shape_that_may_not_come_again_needs_none_either(group, monkeypatch):
    x, w, b = torch.randn(2, 6, 5, 4), torch.randn(6, 6 // group, 4, 4), torch.randn(6)
    settings = Settings([2, 2], [1, 1], [1, 1], True, [0, 0], group)
    storages = [Storage(w.numel()), Storage(6)]
    want = torch.convolution(x, w, b, *settings).relu()
    monkeypatch.setattr(torch, "convolution", None)
    with tuning.passing():
        y = device.forward(x, w, b, storages, settings, relu=True)
    assert (y - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_weights_of_5x5_get_their_gradient_from_products(transposed, group, monkeypatch):
    """cuDNN's Winograd transform for 5×5 is 6e-4 off in float32, deterministic or not."""
    x, w = torch.randn(2, 4, 9, 8), torch.randn(4, 4 // group, 5, 5)
    settings = Settings([1, 1], [2, 2], [1, 1], transposed, [0, 0], group)
    asked = []
    operator = torch.ops.aten.convolution_backward

    def general(dy, x, w, settings, mask, outputs):
        asked.append(list(mask))
        return operator(dy, x, w, [outputs], *settings, list(mask))

    monkeypatch.setattr(device, "_general_backward", general)
    dy = torch.randn(2, 4, 9, 8)
    wanted = [True, True, True]
    found = device.backward(dy, x, w, [Storage(w.numel())], settings, wanted, 4)
    assert asked == [[True, False, True]]
    for ours, theirs in zip(found, operator(dy, x, w, [4], *settings, wanted)):
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    ways = device._backward_ways(dy, x, w, settings, 4)[1]
    asked.clear()
    for way in ways:
        way()
    assert not asked


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "products"),
    [
        ((5, 5), 1, 1, True),
        ((4, 4), 1, 1, True),
        ((1, 5), 1, 1, True),
        ((6, 6), 1, 1, True),
        ((3, 3), 1, 1, False),
        ((7, 7), 1, 1, False),
        ((5, 5), 2, 1, False),
        ((5, 5), 1, 2, False),
    ],
)
def test_only_where_a_transform_may_be_chosen(kernel, stride, dilation, products, monkeypatch):
    x, w = torch.randn(1, 2, 16, 16), torch.randn(3, 2, *kernel)
    settings = Settings([stride] * 2, [0, 0], [dilation] * 2, False, [0, 0], 1)
    assert device._loses_digits(x, w, settings) == products
    for name in ("tf32", "bf16"):
        monkeypatch.setattr(device, "precision", lambda name=name: name)
        assert not device._loses_digits(x, w, settings)


def test_gradients_of_parameters_are_timed_as_float32(monkeypatch):
    """A way that gives float32 at once must not lose to one whose result is copied afterwards."""

    class OnAGpu(torch.Tensor):
        is_cuda = True

    x = torch.randn(1, 4, 6, 6).as_subclass(OnAGpu)
    w, dy = torch.randn(8, 4, 3, 3), torch.randn(1, 8, 4, 4)
    settings = Settings([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    timed = []

    def best(case, ways, device):
        timed.append({way().dtype for way in ways})
        return ways[0]()

    monkeypatch.setattr(tuning, "best", best)
    monkeypatch.setattr(device, "operand", lambda t: t)
    monkeypatch.setattr(
        device, "_backward_ways", lambda *given: [[lambda: torch.ones(2).bfloat16()] * 2] * 3
    )
    grads = device.backward(dy, x, w, [Storage(w.numel())], settings, [True] * 3, 8)
    assert timed == [{torch.bfloat16}, {torch.float32}, {torch.float32}]
    assert [grad.dtype for grad in grads] == [torch.bfloat16, torch.float32, torch.float32]


def test_the_bias_gradient_of_bfloat16_is_summed_in_float32():
    dy = torch.rand(2, 8, 40, 50).bfloat16().contiguous(memory_format=torch.channels_last)
    x, w = torch.randn(2, 4, 40, 50).bfloat16(), torch.randn(8, 4, 1, 1).bfloat16()
    settings = Settings([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    sums = device._backward_ways(dy, x, w, settings, 8)[2][1]()
    assert sums.dtype == torch.float32
    assert torch.allclose(sums, dy.double().sum((0, 2, 3)).float(), rtol=1e-5)


def test_large_outputs_take_no_columns(monkeypatch):
    monkeypatch.setattr(device, "_COLUMNS_MOST_OUTPUTS", 10)
    x, w = torch.randn(1, 6, 9, 11), torch.randn(8, 6, 3, 3)
    settings = Settings([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    assert len(device._forward_ways(x, w, None, settings, True)) == 1


def test_the_fastest_way_is_kept_and_one_that_raises_never_taken(monkeypatch):
    monkeypatch.setattr(tuning, "_measures", lambda device: True)
    monkeypatch.setattr(tuning, "_found", {})
    times = {"slow": 3.0, "fast": 1.0, "broken": float("inf")}
    calls = []

    def way(name):
        def run():
            calls.append(name)
            return name

        run.seconds = times[name]
        return run

    ways = [way(name) for name in times]
    monkeypatch.setattr(tuning, "_seconds", lambda way, first: way.seconds)
    assert tuning.best("case", ways, torch.device("cpu")) == "fast"
    monkeypatch.setattr(tuning, "_measures", lambda device: False)
    assert tuning.best("case", ways, torch.device("cpu")) == "fast"
    assert tuning.best("another case", ways, torch.device("cpu")) == "slow"
    assert calls == ["fast", "fast", "slow"]
