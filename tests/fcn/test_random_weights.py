"""Nets to try things on: random weights, narrower and unpadded copies."""

import numpy as np
from fcn_helpers import net_of, read_net

from caffe.proto import caffe_pb2
from fcn import random_weights

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 64 kernel_size: 3 pad: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }
"""


def test_weights_have_the_variance_that_keeps_the_scale_and_a_seed_decides(tmp_path):
    net = net_of(tmp_path, NET)
    random_weights.fill(net, seed=1)
    weight, bias = (blob.data.copy() for blob in net.params["conv"])
    assert abs(weight.std() / np.sqrt(2 / (8 * 9)) - 1) < 0.05 and 0.05 < bias.std() < 0.15
    assert not net.params["up"][0].data.any()  # what is no convolution stays
    random_weights.fill(net, seed=1)
    assert np.array_equal(net.params["conv"][0].data, weight)


def test_a_narrower_copy_keeps_groups_and_leaves_the_original():
    net = read_net("voc-fcn-alexnet", "deploy")
    made = random_weights.narrowed(net, 16, least=2)
    widths = {layer.name: layer.convolution_param for layer in made.layer}
    assert widths["conv1"].num_output == 6 and widths["conv2"].group == 2
    assert widths["conv2"].num_output == 16 and widths["score_fr"].num_output == 2
    assert net == read_net("voc-fcn-alexnet", "deploy") != made


def test_an_unpadded_copy_pads_nothing():
    made = random_weights.unpadded(read_net("voc-fcn-alexnet", "deploy"), 227)
    assert isinstance(made, caffe_pb2.NetParameter)
    assert list(made.layer[0].input_param.shape[0].dim) == [1, 3, 227, 227]
    assert not any(layer.convolution_param.pad for layer in made.layer)
