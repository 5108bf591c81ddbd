"""Fields of old forks: what they are read as, the one warning of each, and what stays an error."""

import re
import warnings

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError, PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text
from caffe.prototxt.foreign import FIELDS, ForeignFieldWarning
from caffe.prototxt.forks import origin_of_type


def parse(text):
    return parse_text(text, caffe_pb2.NetParameter(), "n.prototxt")


def read(text):
    """(the net, the texts of its warnings)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = parse(text)
    assert all(w.category is ForeignFieldWarning for w in caught)
    return net, [str(w.message) for w in caught]


CASES = [  # inside a layer: as the fork wrote it, as BVLC or an extension would have it
    ("pooling_param { ceil_mode: true }", "pooling_param { round_mode: CEIL }"),
    (
        "pooling_param { ceil_mode: false kernel_size: 3 }",
        "pooling_param { round_mode: FLOOR kernel_size: 3 }",
    ),
    ("pooling_param < ceil_mode : 0 >", "pooling_param { round_mode: FLOOR }"),
    (
        "convolution_param { kernel_size: 3 hole: 12 }",
        "convolution_param { kernel_size: 3 dilation: 12 }",
    ),
    ("convolution_param { hole: [2, 3] }", "convolution_param { dilation: 2 dilation: 3 }"),
    (
        "convolution_param { hole_w: 3 pad: 1 hole_h: 2 }",
        "convolution_param { dilation: 2 dilation: 3 pad: 1 }",
    ),
    ("convolution_param { hole_w: 3 }", "convolution_param { dilation: 1 dilation: 3 }"),
    ("crop_param_ { axis: 2 offset: 19 }", "crop_param { axis: 2 offset: 19 }"),
    ("softmaxwithloss_param { ignore_label: 255 }", "loss_param { ignore_label: 255 }"),
    (
        "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } shift_filler { value: 0.001 } }",
        "bn_param { statistics: NONE slope_filler { value: 1 } bias_filler { value: 0.001 } }",
    ),
    (
        "bn_param { scale_filler { value: 1 } shift_filler { value: 2 } }",
        "bn_param { statistics: BATCH eps: 1e-9 slope_filler { value: 1 } "
        "bias_filler { value: 2 } }",
    ),
    ("bn_param { bn_mode: LEARN }", "bn_param { statistics: BATCH eps: 1e-9 }"),
    ("bn_param { moving_average: false }", "bn_param { statistics: BATCH }"),
    ("bn_param { moving_average: true }", "bn_param { }"),
    ("convolution_param { engine: MKL2017 }", "convolution_param { engine: DEFAULT }"),
    (
        "relu_param { engine: MKLDNN negative_slope: 1 }",
        "relu_param { engine: DEFAULT negative_slope: 1 }",
    ),
    ('engine: "MKL2017"', ""),
    ("forward_type: FLOAT16", ""),
    ("backward_math: FLOAT", ""),
    ("cudnn_math_override: 0", ""),
    ("convolution_param { cudnn_convolution_algo_seeker: FINDEX }", "convolution_param { }"),
    ("data_param { threads: 4 batch_size: 2 }", "data_param { batch_size: 2 }"),
    ("transform_param { use_gpu_transform: true }", "transform_param { }"),
    ("strict_dim: false", ""),
    ("image_data_param { strict_dim: true batch_size: 2 }", "image_data_param { batch_size: 2 }"),
]


@pytest.mark.parametrize(("old", "new"), CASES)
def test_a_layers_field_is_read_as_ours_with_one_warning(old, new):
    net, told = read(f"layer {{ name: 'a' {old} }}")
    assert net == parse(f"layer {{ name: 'a' {new} }}")
    assert len(told) == 1 and told[0].startswith("n.prototxt:1:")
    assert "layer 'a': " in told[0] and "is a field of" in told[0]


@pytest.mark.parametrize(
    "text",
    [
        'engine: "MKLDNN"',
        "mem_param { optimize_train: true }",
        "default_forward_type: FLOAT16",
        'default_conv_algos_override: "1,1,1"',
    ],
)
def test_a_nets_field(text):
    net, told = read(f"name: 'n' {text}\nlayer {{ name: 'a' }}")
    assert net == parse("name: 'n' layer { name: 'a' }") and len(told) == 1
    assert told[0].endswith("It is left out.")


def test_every_row_of_the_table_is_tried_here_or_is_one_of_a_kind():
    tried = " ".join(
        [*(old for old, _ in CASES), *LEFT_OUT, "dilation_h round_below torch_pooling"]
    )
    rows = {names for inside, names, *_ in FIELDS if inside}
    alike = {("backward_type",), ("forward_math",), ("parser_threads",), ("conv_algos_override",)}
    assert not [names for names in rows - alike if not any(n in tried for n in names)]
    for row in FIELDS:
        assert row.origin and row.meaning and row.became


def test_one_warning_for_all_uses_in_a_file_and_one_for_each_kind():
    layer = "layer {{ name: 'p{}' pooling_param {{ ceil_mode: false }} }}\n"
    _, told = read(
        "".join(map(layer.format, range(3))) + "layers { name: 'c' convolution_param { hole: 2 } }"
    )
    assert len(told) == 2
    assert "layer 'p0': ceil_mode: false (and in 2 more places)" in told[0]
    assert "n.prototxt:4:" in told[1] and "DeepLab" in told[1] and "dilation" in told[1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("layer { pooling_param { ceil_mode: maybe } }", r"n\.prototxt:1:25: ceil_mode: maybe is"),
        ("layer { bn_param { bn_mode: CORRECT } }", "none of LEARN, 0, INFERENCE, 1"),
        ("layer { strict_dim: 7 }", r"n\.prototxt:1:9: strict_dim: 7 is none of true"),
        ("layer { convolution_param { engine: FPGA } }", "Known values: DEFAULT, CAFFE, CUDNN"),
        # in a message where no fork has it, a foreign field stays unknown
        ("layer { convolution_param { ceil_mode: true } }", 'no field named "ceil_mode"'),
        ("layer { hole: 2 }", 'no field named "hole"'),
        ("ceil_mode: true", 'no field named "ceil_mode"'),
        ("layer { pooling_param { ceil_modes: true } }", 'no field named "ceil_modes"'),
        # translated, it may clash with ours, as twice the same field would
        ("layer { pooling_param { ceil_mode: true round_mode: FLOOR } }", "round_mode"),
        ("layer { softmaxwithloss_param { weight_source: 'w' } }", 'named "weight_source"'),
    ],
)
def test_what_stays_an_error(text, match):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFieldWarning)
        with pytest.raises(PrototxtError, match=match):
            parse(text)


def test_later_errors_keep_their_line():
    text = "layer {\n pooling_param {\n ceil_mode\n:\ntrue } }\nlayer {\n nmae: 'x' }"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFieldWarning)
        with pytest.raises(PrototxtError, match=r"n\.prototxt:7:2: .*nmae"):
            parse(text)


def test_names_in_strings_and_comments_are_no_fields():
    text = "# ceil_mode: true\nlayer { name: 'hole: 2' pooling_param { } top: \"ceil_mode\" }"
    assert read(text) == (parse(text), [])


def test_an_error_in_the_text_is_told_of_the_text_as_it_is():
    with pytest.raises(PrototxtError, match=r"n\.prototxt:1:"):
        parse("layer { pooling_param { ceil_mode: true }")


def test_a_net_with_foreign_fields_runs(tmp_path):
    path = tmp_path / "segnet.prototxt"
    path.write_text("""
        layer { name: "x" type: "Input" top: "x"
          input_param { shape { dim: 1 dim: 2 dim: 5 dim: 6 } } }
        layer { name: "bn" type: "BN" bottom: "x" top: "x" bn_param { bn_mode: INFERENCE
          scale_filler { type: "constant" value: 2 } shift_filler { value: 0.5 } } }
        layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "m"
          pooling_param { kernel_size: 2 stride: 2 ceil_mode: false } }
        layer { name: "u" type: "Upsample" bottom: "p" bottom: "m" top: "u"
          upsample_param { scale: 2 upsample_h: 5 upsample_w: 6 } }
    """)
    with pytest.warns(ForeignFieldWarning) as caught:
        net = caffe.Net(str(path), caffe.TEST)
    assert len(caught) == 2
    x = np.random.RandomState(0).randn(1, 2, 5, 6).astype(np.float32)
    y = net.forward(x=x)["u"]
    kept = y != 0
    assert kept.sum() == 2 * 2 * 3 and np.allclose(y[kept], 2 * x[kept] + 0.5)
    assert not y[:, :, 4].any()  # FLOOR leaves out the last row


def test_types_in_the_words_of_the_old_enum(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "a" type: "SOFTMAX" bottom: "x" top: "a" }
        layer { name: "b" type: "SOFTMAX" bottom: "x" top: "b" }
        layer { name: "c" type: "INNER_PRODUCT" bottom: "a" top: "c"
          inner_product_param { num_output: 2 } }
        layer { name: "d" type: "BNLL" bottom: "b" top: "d" }
    """)
    with pytest.warns(ForeignFieldWarning) as caught:
        net = caffe.Net(str(path), caffe.TEST)
    assert [layer.type for layer in net.layers][-4:] == [
        "Softmax",
        "Softmax",
        "InnerProduct",
        "BNLL",
    ]
    assert [str(w.message).split(": ", 1)[1][:24] for w in caught] == [
        "layer 'a' (and 1 more): ",
        "layer 'c': type \"INNER_P",
    ]


FIRST_FCN = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 40 input_dim: 50
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param {
  num_output: 2 kernel_size: 3 pad: 100 weight_filler { type: "xavier" } } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool" pooling_param {
  kernel_size: 2 stride: 2 } }
layers { name: "up" type: DECONVOLUTION bottom: "pool" top: "up" convolution_param {
  num_output: 2 kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } } }
layers { name: "score" type: CROP bottom: "up" bottom: "data" top: "score" }
"""


def test_the_crop_of_the_first_fcn_files_finds_its_offset(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(FIRST_FCN)
    with pytest.warns(ForeignFieldWarning, match="'score' offset 100") as caught:
        net = caffe.Net(str(path), caffe.TEST)
    assert len(caught) == 1
    # conv moves a pixel by 99, pooling to x / 2 - 1/4, and Deconvolution back to 2 x + 1.5
    assert net.layer_dict["score"].param.crop_param.offset[:] == [100]
    y = net.forward(data=np.ones((1, 3, 40, 50), np.float32))["score"]
    assert y.shape == (1, 2, 40, 50)
    assert np.array_equal(y, net.blobs["up"].data[:, :, 100:140, 100:150])


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("kernel_size: 3 pad: 100", "kernel_size: 5", "does not lie over the second"),
        (
            "num_output: 2 kernel_size: 4 stride: 2",
            "num_output: 2 kernel_size: 4",
            "does not lie over",
        ),
        ("type: POOLING", "type: SPLIT", "does not lie over|cannot be found"),
        ("kernel_size: 2 stride: 2", "kernel_h: 2 kernel_w: 2 stride: 2", "cannot be found"),
    ],
)
def test_a_crop_without_an_offset_is_one_clear_error(tmp_path, old, new, match):
    path = tmp_path / "n.prototxt"
    assert old in FIRST_FCN
    path.write_text(FIRST_FCN.replace(old, new))
    with pytest.raises(PrototxtError, match=rf"n\.prototxt: layer 'score': .*{match}"):
        caffe.Net(str(path), caffe.TEST)


def test_v1_layers_of_forks(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text("""
        input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
        layers { name: "i" type: INTERP bottom: "x" top: "i" interp_param { zoom_factor: 2 } }
        layers { name: "b" type: BN bottom: "i" top: "b" bn_param { statistics: NONE } }
        layers { name: "c" type: CROP bottom: "b" bottom: "x" top: "c" crop_param { offset: 1 } }
        layers { name: "u" type: UPSAMPLE bottom: "c" top: "u" upsample_param { scale: 3 } }
        layers { name: "d" type: DUMMY_DATA top: "d" dummy_data_param { num: 4 channels: 5
          height: 1 width: 1 } }
        layers { name: "r" type: ROI_POOLING bottom: "u" bottom: "d" top: "r"
          roi_pooling_param { pooled_h: 2 pooled_w: 3 } }
    """)
    net = caffe.Net(str(path), caffe.TEST)
    types = [layer.type for layer in net.layers]
    assert types[-6:] == ["Interp", "BN", "Crop", "Upsample", "DummyData", "ROIPooling"]
    assert net.blobs["u"].data.shape == (1, 2, 9, 12)
    assert net.blobs["r"].data.shape == (4, 2, 2, 3)


@pytest.mark.parametrize("kind", ["CustomData", "DomainTransform", "SegmentData"])
def test_a_type_of_a_known_fork_is_named(tmp_path, kind):
    assert kind not in caffe.layer_type_list()
    path = tmp_path / "n.prototxt"
    path.write_text(f"layer {{ name: 'a' type: '{kind}' }}")
    with pytest.raises(LayerError, match=f"Unknown layer type: '{kind}'. It is a layer of"):
        caffe.Net(str(path), caffe.TEST)


def test_no_known_type_is_called_a_forks():
    assert not [kind for kind in caffe.layer_type_list() if origin_of_type(kind)]


LEFT_OUT = [
    "global_grad_scale: 1000 reduce_buckets: 3 eltwise_mem_share: false",
    'compile_net_state { bn_scale_remove: false } optimize_mem: "TRAIN_ONLY_OPTIM"',
    'layer { name: "a" type: "BatchNorm" batch_norm_param { engine: CUDNN sync: true } }',
    'layer { name: "a" type: "ReLU" relu_param { fuse: true } mn_param { num_nodes: 2 } }',
    'layer { name: "a" type: "Data" data_param { source: "x" cache: true threads: 2 } }',
    'layer { name: "a" type: "Convolution" quantization_param { bw_layer_in: 8 } }',
    'layer { name: "a" type: "InnerProduct" inner_product_param { engine: MKLDNN } }',
    'layer { name: "a" type: "Data" data_param { prefetch_count: 2 } }',
    'layer { name: "a" type: "ImageData" image_data_param { cache: true threads: 3 } }',
    'layer { name: "a" type: "X" batch_norm_param { sync_forward_backward: true } }',
    'layer { name: "a" type: "X" pooling_param { deterministic: true output_mask: true } }',
]


@pytest.mark.parametrize("text", LEFT_OUT)
def test_what_changes_nothing_is_left_out_with_a_warning_each(text):
    with pytest.warns(ForeignFieldWarning) as caught:
        net = parse_text(text, caffe_pb2.NetParameter(), "n")
    assert all("left out" in str(w.message) for w in caught)
    words = set(re.findall(r"(\w+)[: ]", str(net)))
    assert not words & {name for row in FIELDS for name in row.names if row.became == "left out"}


@pytest.mark.parametrize(
    ("field", "dilation"),
    [("dilation_h: 2 dilation_w: 3", [2, 3]), ("dilation_w: 4", [1, 4])],
)
def test_a_dilation_for_each_axis(field, dilation):
    with pytest.warns(ForeignFieldWarning, match="read as dilation"):
        net = parse_text(
            f"layer {{ convolution_param {{ num_output: 1 {field} kernel_size: 3 }} }}",
            caffe_pb2.NetParameter(),
            "n",
        )
    assert list(net.layer[0].convolution_param.dilation) == dilation


def test_solver_fields_that_change_nothing():
    with pytest.warns(ForeignFieldWarning) as caught:
        solver = parse_text(
            "base_lr: 1 store_blobs_in_old_format: true global_grad_scale: 8 log_file: 'x'",
            caffe_pb2.SolverParameter(),
            "s",
        )
    assert solver.base_lr == 1 and len(caught) == 3


@pytest.mark.parametrize("name", ["round_below", "torch_pooling"])
def test_pooling_that_rounds_down(name):
    def mode(value):
        with pytest.warns(ForeignFieldWarning, match=f"{name}: {value} is a field of"):
            net = parse_text(
                f"layer {{ pooling_param {{ kernel_size: 2 {name}: {value} }} }}",
                caffe_pb2.NetParameter(),
                "n",
            )
        return net.layer[0].pooling_param

    floor = caffe_pb2.PoolingParameter.FLOOR
    assert mode("true").round_mode == floor and not mode("false").HasField("round_mode")
