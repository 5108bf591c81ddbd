"""Kernels one after the other in one call."""

import pytest
import torch

from caffe import native
from caffe.native import in_turn, places, small_product, softmax_loss
from caffe.native.in_turn import InTurn, Kernel

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def test_each_sees_what_those_before_it_wrote():
    x, weight = torch.randn(1, 4 * 6), torch.randn(8 * 6, 24)
    y, best, index = torch.empty(1, 48), torch.empty(1, 2, 2, 3), torch.empty(1, 2, 2, 3).int()
    pooled = places.of(y.view(1, 2, 4, 6), best, index, (2, 2), (2, 2), (0, 0))
    run = InTurn(
        [
            Kernel("kernels_small_product", small_product.of(x, weight, bias=None, y=y)),
            in_turn.relu(y, y),
            Kernel("kernels_places", pooled, ("kernels_places_new", False)),
        ]
    )
    for _ in range(2):
        x.normal_()
        assert run.run()
        expected = torch.relu(x @ weight.t()).view(1, 2, 4, 6)
        torch.testing.assert_close(y.view(1, 2, 4, 6), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(best, torch.max_pool2d(y.view(1, 2, 4, 6), 2))


def test_relu_is_pytorchs():
    special = torch.tensor([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-45, -1e-45])
    x, g = torch.cat([special, torch.randn(30)]), torch.randn(37)
    y, dx = torch.empty(37), torch.empty(37)
    assert InTurn([in_turn.relu(x, y), in_turn.relu_back(x, g, dx)]).run()
    assert y.view(torch.int32).equal(torch.relu(x).view(torch.int32))
    assert dx.equal(torch.ops.aten.threshold_backward(g, x, 0.0))


def test_the_first_that_fails_is_the_last():
    scores, labels = torch.zeros(1, 3), torch.tensor([5.0])  # no class of three
    prob, logs, loss = torch.empty(1, 3), torch.empty(1), torch.empty(())
    of = softmax_loss.of(labels, prob, 3, None, 0.0)
    of.scores, of.logs, of.loss = scores.data_ptr(), logs.data_ptr(), loss.data_ptr()
    x, before, after = torch.ones(3), torch.zeros(3), torch.zeros(3)
    calls = [in_turn.relu(x, before), Kernel("kernels_softmax_loss", of), in_turn.relu(x, after)]
    run = InTurn(calls)
    assert not run.run()
    assert before.sum() == 3 and after.sum() == 0
    labels[0] = 2
    assert run.run()
    assert after.sum() == 3
