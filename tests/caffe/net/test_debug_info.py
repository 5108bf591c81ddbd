"""The lines of debug_info: what each says, and that they are of this pass."""

import numpy as np
import pytest

import caffe
from caffe import glog
from caffe.net import debug_info

NET = """
layer { name: 'in' type: 'Input' top: 'x' top: 't'
        input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' param { name: 'shared' }
        inner_product_param { num_output: 1 weight_filler { type: 'constant' value: -2 } } }
layer { name: 'loss' type: 'EuclideanLoss' bottom: 'y' bottom: 't' top: 'loss' }
"""


@pytest.fixture
def lines(monkeypatch):
    """What was logged, as (severity, text)."""
    told = []
    for severity in ("info", "error"):
        monkeypatch.setattr(
            glog, severity, lambda source, text, s=severity: told.append((s, text.strip()))
        )
    return told


@pytest.fixture
def net(tmp_path, lines):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    net = caffe.Net(str(path), caffe.TRAIN)
    net.blobs["x"].data[...] = [[1, -1, 1], [2, 0, 0]]
    net.forward()
    net.backward()
    lines.clear()
    return net


def test_forward_has_a_line_for_each_top_and_parameter(net, lines):
    debug_info.log_forward(net._graph, 1)
    assert lines == [
        ("info", "[Forward] Layer ip, top blob y data: 3"),
        ("info", "[Forward] Layer ip, param blob shared data: 2"),
        ("info", "[Forward] Layer ip, param blob 1 data: 0"),
    ]


def test_backward_has_a_line_for_each_diff_that_was_computed(net, lines):
    gradient = np.abs(net.params["ip"][0].diff).mean()
    debug_info.log_backward(net._graph, 1)
    assert lines == [  # none of x, which needs no gradient
        ("info", f"[Backward] Layer ip, param blob 0 diff: {gradient:.6g}"),
        ("info", "[Backward] Layer ip, param blob 1 diff: 3"),
    ]
    lines.clear()
    debug_info.log_backward(net._graph, 2)
    assert lines == [("info", "[Backward] Layer loss, bottom blob y diff: 1.5")]


def test_all_parameters_in_one_line(net, lines):
    debug_info.log_params(net._graph)
    weights, bias = net.params["ip"]
    l1 = np.abs(weights.diff).sum() + np.abs(bias.diff).sum()
    l2 = np.sqrt((weights.diff**2).sum() + (bias.diff**2).sum())
    [(severity, text)] = lines
    assert severity == "error"
    assert text.endswith(f"L1 norm = (6, {l1:.6g}); L2 norm = ({12**0.5:.6g}, {l2:.6g})")


def test_a_net_without_parameters(tmp_path, lines):
    path = tmp_path / "none.prototxt"
    path.write_text(NET.split("layer { name: 'ip'")[0])
    net = caffe.Net(str(path), caffe.TRAIN)
    lines.clear()
    debug_info.log_params(net._graph)
    assert lines[0][1].endswith("L1 norm = (0, 0); L2 norm = (0, 0)")
