"""Labels in passes that are replayed from CUDA graphs: every wrong one is found, none by chance."""

import numpy as np
import pretend_graphs
import pytest
import torch

import caffe
from caffe.device import current

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
%s
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "%s" top: "loss" }
layer { name: "right" type: "Accuracy" bottom: "ip" bottom: "%s" top: "right" }
"""
# how the labels reach the loss: directly, shared under another shape, computed
WAYS = {
    "split": NET % ("", "label", "label"),
    "flatten": NET
    % ('layer { name: "f" type: "Flatten" bottom: "label" top: "f" '
       "flatten_param { axis: 0 } }", "f", "f"),
    "reshape": NET
    % ('layer { name: "f" type: "Reshape" bottom: "label" top: "f" '
       "reshape_param { shape { dim: 2 dim: 1 } } }", "f", "f"),
    "computed": NET
    % ('layer { name: "f" type: "Power" bottom: "label" top: "f" }', "f", "f"),
}  # fmt: skip
GOOD, BAD = np.array([0, 2], np.float32), np.array([0, 7], np.float32)


@pytest.fixture
def captured(pretend):
    with pretend_graphs.replayed() as graphs:
        yield graphs


@pytest.fixture(params=WAYS)
def net(request, captured, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(WAYS[request.param])
    net = caffe.Net(str(path), caffe.TRAIN)
    net.blobs["data"].data[...] = 1
    return net


def run(net, labels, how):
    """A pass whose labels lie on the host, in memory of their own, or on the device alone."""
    blob = net.blobs["label"]
    if how == "host":
        blob.data[...] = labels
    elif how == "new memory":
        blob.use_memory(labels.copy())
    else:
        blob.set_data(torch.from_numpy(labels.copy()).to(current().torch_device))
    net._forward(0, len(net.layers) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["host", "new memory", "device"])
@pytest.mark.parametrize("good", [0, 1, 2, 6])
def test_a_wrong_label_is_found_in_whatever_pass_it_comes(net, captured, how, good):
    for _ in range(good):
        run(net, GOOD, how)
    with pytest.raises(caffe.Error, match=r"label 7 at \(n.*\) = \(1.*with 3 classes"):
        run(net, BAD, how)
    name = net.layers[list(net._layer_names).index("loss")].param.bottom[1]
    assert net.blobs[name].data.max() == 7  # a user looks what it is, and goes on
    run(net, GOOD, how)
    with pytest.raises(caffe.Error, match="label 7"):
        run(net, BAD, how)


def test_a_graph_made_of_checked_labels_is_not_used_for_others(net, captured):
    for _ in range(6):
        run(net, GOOD, "host")
    for _ in range(6):
        with pytest.raises(caffe.Error, match="label 7"):
            run(net, BAD, "device")
        run(net, GOOD, "host")


def test_a_replay_of_checked_labels_forgets_no_wrong_one_of_an_earlier_pass(net, captured):
    for _ in range(5):
        run(net, GOOD, "host")
    net.blobs["label"].set_data(torch.from_numpy(BAD.copy()).to(current().torch_device))
    net.forward_loss()  # nobody has asked yet
    net.blobs["label"].data[...] = GOOD
    net.forward_loss()
    with pytest.raises(caffe.Error, match="label 7"):
        net.check_verdicts()


SIZES = """
layer { name: "data" type: "Input" top: "data" top: "label" input_param {
  shape { dim: 1 dim: 2 dim: 8 dim: 10 } shape { dim: 1 dim: 1 dim: 8 dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" }
"""


def test_the_position_is_one_in_the_image_that_had_the_label(captured, tmp_path):
    """Images of other sizes may come before anybody asks, and graphs of several sizes exist."""
    path = tmp_path / "net.prototxt"
    path.write_text(SIZES)
    net = caffe.Net(str(path), caffe.TRAIN)

    def labelled(size, wrong=None):
        labels = np.zeros((1, 1, *size), np.float32)
        if wrong is not None:
            labels[0, 0][wrong] = 9
        net.blobs["data"].reshape(1, 2, *size)
        net.blobs["data"].data[...] = 1
        net.blobs["label"].reshape(1, 1, *size)
        net.blobs["label"].set_data(torch.from_numpy(labels).to(current().torch_device))
        net.forward_loss()

    for size in [(8, 10)] * 4 + [(12, 6)] * 4:
        labelled(size)
    assert len(captured) == 2
    labelled((8, 10), wrong=(3, 7))
    labelled((12, 6), wrong=(11, 0))  # a later one, which is not told
    with pytest.raises(caffe.Error, match=r"label 9 at \(n, h, w\) = \(0, 3, 7\)"):
        net.check_verdicts()
    labelled((12, 6), wrong=(11, 5))
    with pytest.raises(caffe.Error, match=r"label 9 at \(n, h, w\) = \(0, 11, 5\)"):
        net.check_verdicts()
