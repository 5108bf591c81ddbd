"""The displayed loss: the same numbers wherever the losses lie, and nobody waits for them."""

import numpy as np
import pytest
import torch

from caffe.device import current
from caffe.solver.losses import _STRIP, Losses

F32 = np.float32


def means(losses, values, length, passes=1, every=1):
    """Feed losses, pass by pass, and collect the mean after each ``every`` iterations."""
    losses.restart(length)
    found = []
    for i, value in enumerate(values):
        losses.add_pass(value)
        if (i + 1) % passes == 0:
            losses.end_iteration(passes)
            if (i // passes + 1) % every == 0:
                found.append(losses.mean())
    return found


@pytest.mark.parametrize("length", [1, 3, 20])
@pytest.mark.parametrize("passes", [1, 2])
def test_on_a_device_the_means_are_the_same_bits(pretend, length, passes):
    values = np.random.default_rng(0).uniform(0, 1e6, 60).astype(F32)
    expected = means(Losses(), [F32(v) for v in values], length, passes)
    one = torch.zeros((), device=current().torch_device)  # as a graph gives it: always the same

    def tensors():
        for v in values:
            yield one.fill_(float(v))

    for every in (1, 7, 30):
        found = means(Losses(), tensors(), length, passes, every)
        assert found == expected[every - 1 :: every]
        assert all(isinstance(mean, F32) for mean in found)


def test_the_mean_is_of_the_last_ones():
    found = means(Losses(), [F32(v) for v in (1, 2, 3, 4, 9)], 2)
    assert found == [1, 1.5, 2.5, 3.5, 6.5]


def test_losses_are_read_when_asked_for(pretend):
    losses = Losses()
    losses.restart(20)
    one = torch.ones((), device=current().torch_device)
    with pretend.counting() as counts:
        for _ in range(5):
            losses.add_pass(one)
            losses.end_iteration()
    assert counts["sync"] == 0
    with pretend.counting() as counts:
        assert losses.mean() == 1
        assert losses.mean() == 1
    assert counts["sync"] == 1


@pytest.mark.slow
def test_what_nobody_asks_for_does_not_pile_up(pretend):
    losses = Losses()
    losses.restart(_STRIP + 10)
    for i in range(_STRIP + 5):
        losses.add_pass(torch.full((), float(i), device=current().torch_device))
        losses.end_iteration()
    assert losses.mean() == pytest.approx((_STRIP + 4) / 2, rel=1e-3)


def test_a_solver_that_changes_its_device_keeps_losses_where_they_are(pretend):
    losses, found = Losses(), []
    losses.restart(4)
    for k, device in enumerate(("pretend:0", "pretend:1", "pretend:1", "pretend:0")):
        with pretend.counting() as counts:
            losses.add_pass(torch.tensor(float(k)).to(device))
            losses.end_iteration()
        assert counts["P2P"] == 0, "a loss crossed to another device in a step"
        found.append(str(losses._strip.device))
    assert found == ["pretend:0", "pretend:1", "pretend:1", "pretend:0"]
    assert losses.mean() == F32(1.5)
