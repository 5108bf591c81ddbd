"""Which gradients a backward pass lets go before it starts."""

import numpy as np
import pytest

import caffe
from caffe.net import unread_diffs

pytestmark = pytest.mark.cpu_only

NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6
  } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "flat" type: "Flatten" bottom: "a" top: "flat" }
layer { name: "b" type: "InnerProduct" bottom: "flat" top: "b"
  inner_product_param { num_output: 4 weight_filler { type: "msra" } } }
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.setattr(unread_diffs, "_LARGE", 1)
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    caffe.set_random_seed(1)
    net = caffe.Net(str(path), caffe.TRAIN)
    net.blobs["data"].data[...] = np.random.RandomState(2).randn(1, 2, 6, 6)
    net.forward()
    return net


def released(net, first, last):
    graph, found = net._passes._graph, net._passes._unread._overwritten(first, last)
    return sorted(name for name, blob in net.blobs.items() if any(blob is b for b in found)), graph


def test_those_that_the_pass_writes_before_it_reads_them(net):
    names, graph = released(net, 4, 0)
    assert names == ["data", "flat"]  # "a" is the flattening's bottom, written in place
    assert released(net, 4, 4)[0] == ["flat"]
    assert released(net, 2, 2)[0] == []  # the ReLU in place reads what it overwrites
    assert graph.layers[2].type == "ReLU"


def test_a_second_pass_gives_the_same(net):
    for _ in range(2):
        net.blobs["b"].diff[...] = np.arange(4).reshape(1, 4)
        net.backward()
        found = {name: net.blobs[name].diff.copy() for name in net.blobs}
        assert all(np.abs(d).max() > 0 for d in found.values())
    net.backward()
    for name, diff in found.items():
        np.testing.assert_array_equal(net.blobs[name].diff, diff)


def test_an_array_that_is_held_shows_the_new_gradient(net):
    held = net.blobs["data"].diff
    net.blobs["b"].diff[...] = 1
    net.backward()
    first = held.copy()
    assert np.abs(first).max() > 0
    net.blobs["b"].diff[...] = 2
    net.backward()
    np.testing.assert_allclose(held, 2 * first, rtol=1e-5)
    assert held.base is not None
