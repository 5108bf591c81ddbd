"""Every expression gives what its layer gives, one by one and compiled."""

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import caffe
from caffe.kernels import compiled
from caffe.layer import create
from caffe.net import expressions
from caffe.proto import caffe_pb2

pytestmark = pytest.mark.cpu_only  # where stretches are compiled

LAYERS = {
    "BatchNorm": "",
    "Bias": "bias_param { filler { value: 0.5 } }",
    "Clip": "clip_param { min: -0.5 max: 1 }",
    "Concat": 'bottom: "y"',
    "Convolution": "convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 group: 2 "
    'weight_filler { type: "msra" } bias_filler { value: 0.3 } }',
    "ConvolutionDepthwise": "convolution_param { kernel_size: 3 pad: 1 "
    'weight_filler { type: "msra" } }',
    "Crop": 'bottom: "y" crop_param { offset: 0 }',
    "Deconvolution": "convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 group: 2 "
    'weight_filler { type: "msra" } bias_filler { value: 0.3 } }',
    "Deconvolution, bilinear": "convolution_param { num_output: 4 kernel_size: 4 stride: 2 "
    'weight_filler { type: "bilinear" } }',
    "DepthwiseConvolution": "convolution_param { kernel_size: 3 stride: 2 "
    'weight_filler { type: "msra" } }',
    "Dropout": "",
    "Dropout, scaled in TEST": "dropout_param { scale_train: false }",
    "Eltwise": 'bottom: "y" bottom: "z"',
    "Eltwise, with factors": 'bottom: "y" eltwise_param { coeff: 1 coeff: -2 }',
    "Eltwise, a product": 'bottom: "y" bottom: "z" eltwise_param { operation: PROD }',
    "Eltwise, the maximum": 'bottom: "y" bottom: "z" eltwise_param { operation: MAX }',
    "Flatten": "",
    "InnerProduct": 'inner_product_param { num_output: 7 weight_filler { type: "msra" } }',
    "InnerProduct, transposed": "inner_product_param { num_output: 7 transpose: true "
    'weight_filler { type: "msra" } }',
    "LRN": "lrn_param { local_size: 5 alpha: 0.3 k: 2 }",
    "LRN, another power": "lrn_param { local_size: 3 alpha: 0.3 beta: 0.5 }",
    "LRN, wider than the blob": "lrn_param { local_size: 9 alpha: 0.3 }",
    "LRN, within channels": "lrn_param { local_size: 3 alpha: 0.3 norm_region: WITHIN_CHANNEL }",
    "PReLU": "",
    "Pooling": "pooling_param { kernel_size: 3 stride: 2 }",
    "Pooling, padded": "pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling, AVE": "pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
    "Pooling, AVE, padded": "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling, global": "pooling_param { pool: AVE global_pooling: true }",
    "ReLU": "",
    "ReLU, leaky": "relu_param { negative_slope: 0.1 }",
    "ReLU6": "",
    "Reshape": "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }",
    "Scale": "scale_param { bias_term: true filler { value: 2 } bias_filler { value: -1 } }",
    "Sigmoid": "",
    "Slice": 'top: "second" slice_param { slice_point: 1 }',
    "Softmax": "",
    "Split": 'top: "second"',
    "TanH": "",
}
REFUSED = {
    "BatchNorm": "batch_norm_param { use_global_stats: false }",
    "Dropout": "dropout_param { sample_weights_test: true }",
    "InnerProduct": "inner_product_param { num_output: 7 axis: 2 }",
    "Pooling": "pooling_param { pool: STOCHASTIC kernel_size: 2 }",
    "ReLU6": "relu_param { negative_slope: 0.1 }",
    "Power": "",
}
#: What the compiler is not asked to take.
NOT_COMPILED = {
    "ConvolutionDepthwise", "Crop", "Deconvolution", "Deconvolution, bilinear",
    "DepthwiseConvolution", "Eltwise, a product", "Eltwise, the maximum", "Eltwise, with factors",
    "Flatten", "InnerProduct, transposed", "Reshape", "Slice",
}  # fmt: skip


def made(name, settings, size=(11, 8)):
    """The layer, its bottoms and the expression."""
    text = f'name: "l" type: "{name.split(",")[0]}" bottom: "x" top: "top" {settings}'
    param = text_format.Parse(text, caffe_pb2.LayerParameter())
    caffe.set_random_seed(1)
    layer = create(param, caffe.TEST)
    torch.manual_seed(0)
    bottoms = [torch.randn(2, 4, *size) for _ in param.bottom]
    shapes = [tuple(x.shape) for x in bottoms]
    layer.setup(shapes)
    if layer.type == "BatchNorm":
        for blob in layer.blobs:
            blob.data[...] = np.linspace(0.5, 1.5, blob.count)
    if layer.type != "Split":  # which deals in blobs
        layer.reshape(shapes)
    weights = [blob.data_tensor() for blob in layer.blobs]
    return layer, bottoms, expressions.expression(layer, shapes, weights)


def test_the_table_is_tested_whole():
    assert {name.split(",")[0] for name in LAYERS} == {c.type for c in expressions._TABLE}


@pytest.mark.parametrize("name", LAYERS)
def test_an_expression_is_what_the_layer_computes(name):
    layer, bottoms, run = made(name, LAYERS[name])
    kept = [x.clone() for x in bottoms]
    found = run(*bottoms)
    for x, before in zip(bottoms, kept):
        assert torch.equal(x, before)
    expected = [bottoms[0]] * 2 if layer.type == "Split" else None
    if layer.type in ("Flatten", "Reshape"):  # which share memory
        expected = [bottoms[0].view(layer.reshape([tuple(bottoms[0].shape)])[0])]
    if expected is None:
        expected = layer.forward(kept, [blob.data_tensor() for blob in layer.blobs])
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not compiled.available(), reason="no compiler of oneDNN's graphs")
@pytest.mark.parametrize("name", [n for n in LAYERS if n not in NOT_COMPILED])
def test_it_computes_the_same_behind_a_convolution_in_a_program(name):
    _, bottoms, run = made(name, LAYERS[name])
    weight = torch.randn(4, 4, 3, 3)

    def chain(*xs):
        first = torch.relu(torch.conv2d(xs[0], weight, None, [1, 1], [1, 1]))
        return tuple(y + 0 for y in run(first, *xs[1:]))

    program = compiled.compiled(chain, bottoms)
    assert program is not None
    for found, expected in zip(program(*bottoms), chain(*bottoms)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_the_compiler_is_not_asked_to_take():
    refused = {name for name in LAYERS if not expressions.compiles(made(name, LAYERS[name])[0])}
    assert refused == NOT_COMPILED


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_expression_is_refused(name):
    assert made(name, REFUSED[name])[2] is None


def test_windows_beyond_the_image_are_refused():
    settings = "pooling_param { kernel_size: 1 stride: 3 }"
    assert made("Pooling", settings, size=(6, 6))[2] is None
    assert made("Pooling", settings, size=(7, 7))[2] is not None
