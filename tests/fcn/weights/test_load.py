"""Weights are loaded whole, or the layers that got none are named."""

import os

import numpy as np
from fcn_helpers import raised

import caffe
from fcn.weights.find import MissingWeights
from fcn.weights.load import load_weights

TEXT = """
layer {{ name: "in" type: "Input" top: "data"
         input_param {{ shape {{ dim: 1 dim: 1 dim: 4 dim: 4 }} }} }}
layer {{ name: "{}" type: "Convolution" bottom: "data" top: "x"
         convolution_param {{ num_output: 2 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "b" type: "Convolution" bottom: "x" top: "y"
         convolution_param {{ num_output: 2 kernel_size: 1 weight_filler {{ type: "xavier" }} }} }}
"""


def net(tmp_path, name):
    path = os.path.join(str(tmp_path), name + ".prototxt")
    with open(path, "w") as f:
        f.write(TEXT.format(name))
    return caffe.Net(path, caffe.TEST)


def test_every_parameter_is_that_of_the_file(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    saved, other = net(tmp_path, "a"), net(tmp_path, "a")
    saved.save(path)
    load_weights(other, path)
    for name, blobs in saved.params.items():
        for one, two in zip(blobs, other.params[name]):
            assert np.array_equal(one.data, two.data), name


def test_a_layer_that_the_file_lacks_is_named(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    net(tmp_path, "a").save(path)
    text = raised(MissingWeights, load_weights, net(tmp_path, "c"), path)
    assert "no usable weights for 1 of the net's 2 layers with parameters: c;" in text


def test_weights_that_are_no_numbers_count_as_missing(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    damaged = net(tmp_path, "a")
    damaged.params["b"][0].data[...] = np.nan
    damaged.save(path)
    assert "layers with parameters: b;" in raised(
        MissingWeights, load_weights, net(tmp_path, "a"), path
    )


BILINEAR = """
layer {{ name: "up" type: "Deconvolution" bottom: "y" top: "z" convolution_param {{ num_output: 2
         group: 2 kernel_size: {} stride: 2 bias_term: false weight_filler {{ type: "{}" }} }} }}
"""


def upsampled(tmp_path, kernel, filler):
    path = os.path.join(str(tmp_path), f"{kernel}{filler}.prototxt")
    with open(path, "w") as f:
        f.write(TEXT.format("a") + BILINEAR.format(kernel, filler))
    return caffe.Net(path, caffe.TEST)


def test_bilinear_upsampling_needs_no_weights(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    net(tmp_path, "a").save(path)
    made = upsampled(tmp_path, 5, "bilinear")
    kernel = np.array(made.params["up"][0].data)
    load_weights(made, path)
    assert np.array_equal(made.params["up"][0].data, kernel) and kernel.max() == 1
    for filler in ("constant", "xavier"):
        text = raised(MissingWeights, load_weights, upsampled(tmp_path, 4, filler), path)
        assert "of the net's 3 layers with parameters: up;" in text


def test_upsampling_in_the_file_wins_over_the_filler(tmp_path):
    path = os.path.join(str(tmp_path), "w.caffemodel")
    saved = upsampled(tmp_path, 4, "xavier")
    saved.save(path)
    made = upsampled(tmp_path, 4, "bilinear")
    load_weights(made, path)
    assert np.array_equal(made.params["up"][0].data, saved.params["up"][0].data)
