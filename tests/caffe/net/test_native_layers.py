"""Every layer with a native form gives there what its expression gives."""

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import caffe
from caffe import native
from caffe.kernels import winograd
from caffe.layer import create
from caffe.native import memory, program
from caffe.net import expressions
from caffe.net import native_layers as layers
from caffe.net import native_windows as windows
from caffe.net.native_stretch import Node, build
from caffe.proto import caffe_pb2

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

MSRA = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.3 }'
LAYERS = {
    "BatchNorm": "",
    "Bias": "bias_param { filler { value: 0.5 } }",
    "Clip": "clip_param { min: -0.5 max: 1 }",
    "Concat": 'bottom: "y" bottom: "z"',
    "Concat, of one twice": 'bottom: "x" bottom: "z"',
    "Convolution": f"convolution_param {{ num_output: 24 kernel_size: 3 pad: 1 {MSRA} }}",
    "Convolution, as large as the image": "convolution_param { num_output: 9 kernel_h: 11 "
    f"kernel_w: 8 {MSRA} }}",
    "Convolution, in groups": "convolution_param { num_output: 36 kernel_h: 3 kernel_w: 2 "
    f"stride: 2 pad: 1 group: 2 {MSRA} }}",
    "Convolution, dilated": "convolution_param { num_output: 5 kernel_size: 3 dilation: 2 "
    f"bias_term: false pad: 2 {MSRA} }}",
    "Convolution, depthwise": "convolution_param { num_output: 18 kernel_size: 3 pad: 1 "
    f"group: 18 {MSRA} }}",
    "ConvolutionDepthwise": f"convolution_param {{ kernel_size: 3 stride: 2 pad: 1 {MSRA} }}",
    "Crop": 'bottom: "y" crop_param { offset: 0 }',
    "Deconvolution": f"convolution_param {{ num_output: 10 kernel_size: 2 stride: 2 {MSRA} }}",
    "Deconvolution, by channel": "convolution_param { num_output: 18 group: 18 kernel_size: 4 "
    f"stride: 2 pad: 1 {MSRA} }}",
    "Deconvolution, that mixes no channels": "convolution_param { num_output: 18 kernel_size: 4 "
    'stride: 2 bias_term: false weight_filler { type: "bilinear" } }',
    "DepthwiseConvolution": f"convolution_param {{ kernel_size: 5 pad: 2 {MSRA} }}",
    "Dropout": "",
    "Eltwise": 'bottom: "y" bottom: "z"',
    "Eltwise, of two": 'bottom: "y"',
    "Eltwise, with factors": 'bottom: "y" eltwise_param { coeff: 1 coeff: -2 }',
    "Eltwise, a product": 'bottom: "y" bottom: "z" eltwise_param { operation: PROD }',
    "Eltwise, the maximum": 'bottom: "y" bottom: "z" eltwise_param { operation: MAX }',
    "InnerProduct": f"inner_product_param {{ num_output: 21 {MSRA} }}",
    "InnerProduct, transposed": f"inner_product_param {{ num_output: 21 transpose: true {MSRA} }}",
    "LRN": "lrn_param { local_size: 5 alpha: 0.3 k: 2 }",
    "LRN, another power": "lrn_param { local_size: 3 alpha: 0.3 beta: 0.5 }",
    "LRN, within channels": "lrn_param { local_size: 3 alpha: 0.3 norm_region: WITHIN_CHANNEL }",
    "PReLU": "",
    "PReLU, one slope for all": "prelu_param { channel_shared: true }",
    "Pooling": "pooling_param { kernel_size: 3 stride: 2 }",
    "Pooling, padded": "pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling, AVE": "pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
    "Pooling, AVE, padded": "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling, global": "pooling_param { pool: AVE global_pooling: true }",
    "ReLU": "",
    "ReLU, leaky": "relu_param { negative_slope: 0.1 }",
    "ReLU6": "",
    "Scale": "scale_param { bias_term: true filler { value: 2 } bias_filler { value: -1 } }",
    "Sigmoid": "",
    "Slice": 'top: "second" slice_param { slice_point: 7 }',
    "Softmax": "",
    "Split": 'top: "second"',
    "TanH": "",
}
#: Shapes of bottoms that a layer has its numbers in one order in.
FLAT = {"Flatten": "", "Reshape": "reshape_param { shape { dim: 0 dim: 18 } }"}
REFUSED = {
    "BatchNorm": "batch_norm_param { use_global_stats: false }",
    "Concat": 'bottom: "y" concat_param { axis: 2 }',
    "Dropout": "dropout_param { sample_weights_test: true }",
    "Flatten": "",
    "InnerProduct": "inner_product_param { num_output: 7 axis: 2 }",
    "Pooling": "pooling_param { pool: STOCHASTIC kernel_size: 2 }",
    "ReLU6": "relu_param { negative_slope: 0.1 }",
    "Reshape": "reshape_param { shape { dim: 0 dim: -1 } }",
    "Slice": 'top: "second" slice_param { axis: 0 }',
    "Softmax": "softmax_param { axis: 2 }",
}


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("pads", ["pad: 1", "", "pad: 2", "pad_h: 2 pad_w: 0"])
def test_convolutions_go_winograds_way_where_it_is_faster(monkeypatch, pads, group):
    seen, taken = [], []
    monkeypatch.setattr(
        winograd, "applies_in_program", lambda *given: bool(seen.append(given) or True)
    )
    add = program.Program.winograd
    monkeypatch.setattr(program.Program, "winograd", lambda *given: (taken.append(1), add(*given)))
    settings = f"num_output: 24 kernel_size: 3 {pads} group: {group} {MSRA}"
    settings = f"convolution_param {{ {settings} }}"
    for a, b in zip(*run(*made("Convolution", settings))):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=3e-6 * float(b.abs().max()))
    height, width = b.shape[2:]
    assert taken == [1] * group and seen == [(18 // group, 24 // group, height, width)]


@pytest.mark.parametrize(
    "settings",
    ["stride: 2", "dilation: 2", "kernel_h: 1 kernel_w: 3", "kernel_size: 5"],
)
def test_other_convolutions_do_not_go_winograds_way(monkeypatch, settings):
    monkeypatch.setattr(winograd, "applies_in_program", lambda *given: True)
    monkeypatch.setattr(program.Program, "winograd", lambda *given: pytest.fail("it was taken"))
    kernel = "" if "kernel" in settings else "kernel_size: 3"
    settings = f"convolution_param {{ num_output: 36 {kernel} {settings} {MSRA} }}"
    run(*made("Convolution", settings))


def test_the_table_is_tested_whole():
    tested = {name.split(",")[0] for name in [*LAYERS, *FLAT]}
    assert tested == {layer.type for layer in layers._TABLE}


def made(name, settings, size=(11, 8), n=2):
    """The layer and its bottoms."""
    text = f'name: "l" type: "{name.split(",")[0]}" bottom: "x" top: "top" {settings}'
    param = text_format.Parse(text, caffe_pb2.LayerParameter())
    caffe.set_random_seed(1)
    layer = create(param, caffe.TEST)
    torch.manual_seed(0)
    by_name = {b: torch.randn(n, 18, *size) for b in "xyz"}
    bottoms = [by_name[b] for b in param.bottom]
    shapes = [tuple(x.shape) for x in bottoms]
    layer.setup(shapes)
    if layer.type == "BatchNorm":
        for blob in layer.blobs:
            blob.data[...] = np.linspace(0.5, 1.5, blob.count)
    if layer.type != "Split":  # which deals in blobs
        layer.reshape(shapes)
    return layer, bottoms, list(param.bottom)


def run(layer, bottoms, names, threads=1):
    """What the native kernels make of the bottoms, and what the expression makes of them."""
    shapes = [tuple(x.shape) for x in bottoms]
    weights = [blob.data_tensor() for blob in layer.blobs]
    form = layers.form(layer, shapes)
    assert form is not None
    expected = expressions.expression(layer, shapes, weights)(*bottoms)
    places = {name: b for b, name in enumerate(dict.fromkeys(names))}
    tops = list(range(len(places), len(places) + len(expected)))
    dims = {places[name]: shape for name, shape in zip(names, shapes)}
    dims.update((b, tuple(y.shape)) for b, y in zip(tops, expected))
    node = Node(layer, form, weights, [places[name] for name in names], tops)
    built = build([node], list(places.values()), tops, dims, lambda frames: None)
    given = {places[name]: x for name, x in zip(names, bottoms)}
    found = [torch.full_like(y, 7).contiguous() for y in expected]
    assert built.program.run([*(given[b] for b in built.taken), *found], threads)
    for b in built.taken:
        assert torch.equal(built.input(b), given[b])
    return found, expected


@pytest.mark.parametrize("n", [1, 2, 6])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_its_expression_gives(name, n):
    layer, bottoms, names = made(name, LAYERS[name], n=n)
    for threads in (1, 2):
        for a, b in zip(*run(layer, bottoms, names, threads)):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=3e-6 * float(b.abs().max()))


@pytest.mark.parametrize("name", FLAT)
def test_one_pixel_is_the_same_with_two_axes(name):
    layer, bottoms, names = made(name, FLAT[name], size=(1, 1))
    (found,), (expected,) = run(layer, bottoms, names)
    assert found.shape == (2, 18) and torch.equal(found, expected)


def test_large_weights_are_read_where_they_lie(monkeypatch):
    monkeypatch.setattr(winograd, "applies_in_program", lambda *given: False)
    monkeypatch.setattr(windows, "_MOST_PRODUCT_WEIGHTS", 10)
    monkeypatch.setattr(windows, "_MOST_CONVOLUTION_WEIGHTS", 10)
    for name in ("InnerProduct", "Convolution"):
        for n in (1, 6):
            layer, bottoms, names = made(name, LAYERS[name], n=n)
            assert layers.form(layer, [tuple(x.shape) for x in bottoms]).refers
            for a, b in zip(*run(layer, bottoms, names)):
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_other_settings_have_no_native_form(name):
    layer, bottoms, _ = made(name, REFUSED[name])
    assert layers.form(layer, [tuple(x.shape) for x in bottoms]) is None


def test_what_only_passes_numbers_on_is_no_operation():
    for name in ("Split", "Dropout"):
        layer, bottoms, _ = made(name, LAYERS[name])
        form = layers.form(layer, [tuple(x.shape) for x in bottoms])
        assert form.add is None and form.kind == layers.ALIAS
    layer, bottoms, _ = made("Concat", LAYERS["Concat"])
    assert layers.form(layer, [tuple(x.shape) for x in bottoms]).kind == memory.JOIN
