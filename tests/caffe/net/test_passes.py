"""Forward and backward passes of a net, whole and in part."""

import numpy as np
import pytest
from small_net import LOSS, SMALL, random


def test_forward_returns_views_and_feeds_by_name(make_net, device):
    net = make_net()
    x = random((2, 3, 6, 5))
    out = net.forward(data=x)
    assert set(out) == {"ip"}
    assert np.array_equal(net.blobs["data"].data, x)
    assert np.shares_memory(out["ip"], net.blobs["ip"].data)
    again = net.forward(blobs=["pool"], end="relu")
    assert set(again) == {"conv", "pool"}


def test_partial_forward_uses_what_the_blobs_hold_now(make_net, device):
    net = make_net()
    net.forward(data=random((2, 3, 6, 5)))
    net.blobs["pool"].data[...] = 0
    out = net.forward(start="ip")["ip"]
    assert np.allclose(out, net.params["ip"][1].data)


def test_backward_twice_accumulates_parameters_only(make_net, device):
    net = make_net()
    net.forward(data=random((2, 3, 6, 5)))
    net.blobs["ip"].diff[...] = random((2, 2), 1)
    first = net.backward()["data"].copy()
    weight = net.params["conv"][0].diff.copy()
    assert np.abs(first).max() > 0 and np.abs(weight).max() > 0
    second = net.backward()["data"]
    assert np.allclose(second, first)
    assert np.allclose(net.params["conv"][0].diff, 2 * weight)
    net.clear_param_diffs()
    assert (net.params["conv"][0].diff == 0).all()


def test_backward_without_a_forward_before_it(make_net, device):
    """As in BVLC: the gradient at whatever the blobs hold, here zeros."""
    net = make_net()
    out = net.backward(ip=random((2, 2)))
    assert np.allclose(net.params["ip"][1].diff, random((2, 2)).sum(0), atol=1e-6)
    assert (out["data"] == 0).all()  # ReLU at zero lets nothing through


def test_backward_after_editing_a_top(make_net, device):
    net = make_net()
    net.forward(data=random((2, 3, 6, 5)))
    net.blobs["pool"].data[...] = 1
    net.backward(ip=np.ones((2, 2), np.float32))
    assert np.allclose(net.params["ip"][0].diff, 2)  # sum over items of diff times the edited pool


def test_backward_of_a_range(make_net, device):
    net = make_net()
    net.forward(data=random((2, 3, 6, 5)))
    net.blobs["pool"].diff[...] = 1
    out = net.backward(start="pool", end="relu")
    assert set(out) == {"conv"}
    assert (net.params["conv"][0].diff == 0).all()
    assert net.blobs["conv"].diff.sum() > 0


def test_callbacks_see_every_layer(make_net):
    net = make_net()
    seen = []
    net.before_forward(lambda i: seen.append(("bf", i)))
    net.after_forward(lambda i: seen.append(("af", i)))
    net.before_backward(lambda i: seen.append(("bb", i)))
    net.forward(end="conv")
    net.backward(start="conv")
    assert seen == [("bf", 0), ("af", 0), ("bf", 1), ("af", 1), ("bb", 1), ("bb", 0)]


def test_the_loss_weight_lives_in_the_tops_diff(make_net, device):
    net = make_net(LOSS.format(top='top: "loss" loss_weight: 2'))
    x, t = random((2, 3)), random((2, 3), 1)
    loss = float(net.forward(x=x, t=t)["loss"])
    assert net._forward(0, 2) == pytest.approx(2 * loss)
    net.backward()
    gradient = net.params["ip"][0].diff.copy()
    net.clear_param_diffs()
    net.blobs["loss"].diff[...] = 6
    net.backward()
    assert np.allclose(net.params["ip"][0].diff, 3 * gradient, rtol=1e-5)
    assert net.blob_loss_weights["loss"] == 2


def test_backward_without_a_loss_does_nothing(make_net):
    net = make_net(SMALL.replace("force_backward: true", ""))
    net.forward(data=random((2, 3, 6, 5)))
    net.blobs["ip"].diff[...] = 1
    net.backward()
    assert (net.params["ip"][0].diff == 0).all()


def test_parameters_with_lr_mult_0_get_no_diff(make_net):
    net = make_net(
        LOSS.format(top='top: "loss"').replace(
            'top: "ip"\n', 'top: "ip" param { lr_mult: 0 } param { lr_mult: 1 }\n'
        )
    )
    net.forward(x=random((2, 3)), t=random((2, 3), 1))
    net.backward()
    assert (net.params["ip"][0].diff == 0).all() and np.abs(net.params["ip"][1].diff).max() > 0


@pytest.mark.parametrize("written", [False, True])
def test_batch_norm_without_param_entries_counts_as_learnable(make_net, written):
    """BVLC: then it and all above it run backward although nothing there can learn."""
    entries = "param { lr_mult: 0 } " * 3 if written else ""
    net = make_net(f"""
        layer {{ name: "in" type: "Input" top: "x" top: "t"
          input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ dim: 2 dim: 3 }} }} }}
        layer {{ name: "bn" type: "BatchNorm" bottom: "x" top: "bn" {entries} }}
        layer {{ name: "loss" type: "EuclideanLoss" bottom: "bn" bottom: "t" top: "loss" }}
    """)
    net.forward(x=random((2, 3)), t=random((2, 3), 1))
    net.backward()
    assert (np.abs(net.blobs["bn"].diff).max() > 0) == (not written)
    assert net.params_lr == [0, 0, 0]
