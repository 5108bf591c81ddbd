"""Nets without subsampling, whose scores are at every pixel."""

import numpy as np
import pytest
from fcn_helpers import raised
from google.protobuf import text_format
from rarefied_nets import AVE, MAX, net

from caffe.proto import caffe_pb2
from fcn.random_weights import fill
from papers import shift_and_stitch
from papers._rarefied import RarefyError, rarefied


@pytest.mark.parametrize(
    "pools, stem",
    [
        (((MAX, 2, 2),), None),
        (((MAX, 2, 2), (MAX, 2, 2), (MAX, 2, 2)), None),
        (((MAX, 3, 2), (AVE, 2, 2)), None),
        (((AVE, 2, 2), (AVE, 3, 2)), (4, 2)),
    ],
    ids=["one", "three", "overlapping", "strided convolution"],
)
def test_equal_at_every_pixel(pools, stem):
    ways = shift_and_stitch.Ways(net(*pools, stem=stem), fill, 2)
    image = shift_and_stitch.picture(ways.whole, seed=3)
    stitched, sparse = ways.shift_and_stitch(image), ways.rarefied(image)
    assert stitched.shape == sparse.shape == (2, ways.size, ways.size)
    assert np.abs(stitched).max() > 1
    np.testing.assert_allclose(stitched, sparse, atol=1e-5 * np.abs(stitched).max())
    np.testing.assert_array_equal(
        ways.shift_and_stitch(image, batch=ways.stride).argmax(0), stitched.argmax(0)
    )


@pytest.mark.parametrize(
    "layer, said",
    [
        (
            'type: "Convolution" convolution_param { num_output: 1 kernel_size: 3 pad: 1 }',
            "no padding",
        ),
        (
            'type: "Convolution" convolution_param { num_output: 1 kernel_size: 3 dilation: 2 }',
            "no dilation",
        ),
        ('type: "Convolution" convolution_param { num_output: 1 kernel_size: 9 }', "too small"),
        ('type: "Pooling" pooling_param { kernel_size: 2 pool: STOCHASTIC }', "MAX or AVE"),
        ('type: "Pooling" pooling_param { global_pooling: true }', "MAX or AVE"),
        ('type: "InnerProduct" inner_product_param { num_output: 1 }', "cannot be rarefied"),
    ],
)
def test_what_cannot_be_rarefied(layer, said):
    text = (
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 '
        'dim: 8 dim: 8 } } } layer { name: "l" bottom: "data" top: "l" ' + layer + " }"
    )
    param = text_format.Merge(text, caffe_pb2.NetParameter())
    message = raised(RarefyError, rarefied, param, 8)
    assert said in message and "'l'" in message
