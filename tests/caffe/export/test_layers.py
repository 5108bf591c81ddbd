"""Every layer type that can be exported: cases with random parameters, ONNX Runtime against the
engine, at a second size where the case names free sizes."""

import pytest
from exporting import export

import caffe
import caffe.export
from caffe.export import table
from caffe.layer import class_of

IMAGE = (2, 6, 9, 7)
FREE = ("batch", "height", "width")

# type -> cases: (text of the layer, shapes of the inputs, sizes that are free)
CASES = {
    "AbsVal": [("", [IMAGE], FREE)],
    "ArgMax": [
        ("argmax_param { axis: 1 }", [IMAGE], FREE),
        ("argmax_param { axis: -1 top_k: 3 }", [IMAGE], FREE),
        ("argmax_param { axis: 1 top_k: 2 out_max_val: true }", [IMAGE], FREE),
        ("argmax_param { axis: 2 out_max_val: true }", [IMAGE], FREE),
        ("", [IMAGE], FREE),
        ("argmax_param { top_k: 4 }", [IMAGE], FREE),
        ("argmax_param { top_k: 3 out_max_val: true }", [IMAGE], FREE),
        ("argmax_param { top_k: 1 out_max_val: true }", [(3, 5)], ("batch",)),
        ("argmax_param { top_k: 2 }", [(3, 5, 2)], ("batch",)),
    ],
    "Axpy": [
        ("", [(2, 6), IMAGE, IMAGE], FREE),
        ("", [(2, 6, 1, 1), IMAGE, IMAGE], ("batch",)),
    ],
    "BatchReduction": [
        (
            "batch_reduction_param { level: 1 level: 2 reduction_param { axis: 1 operation: MEAN } "
            "}",
            [(3, 5, 2)],
            ("batch",),
        ),
        ("batch_reduction_param { reduction_param { axis: 1 operation: SUM } }", [IMAGE], FREE),
    ],
    "BN": [
        ("", [IMAGE], FREE),
        ("bn_param { statistics: BATCH eps: 0.01 }", [IMAGE], FREE),
        ("bn_param { statistics: NONE }", [IMAGE], FREE),
    ],
    "SyncBN": [("", [IMAGE], FREE)],
    "BNLL": [("", [IMAGE], FREE)],
    "BatchNorm": [
        ("", [IMAGE], FREE),
        ("batch_norm_param { eps: 0.1 }", [(4, 5)], ("batch",)),
        ("batch_norm_param { use_global_stats: false }", [IMAGE], FREE),
    ],
    "BatchReindex": [("", [(5, 2, 3), (7,)], ()), ("", [(3,), (4,)], ())],
    "Bias": [
        ("", [IMAGE], FREE),
        ("bias_param { axis: 2 num_axes: -1 }", [IMAGE], ("batch",)),
        ("bias_param { num_axes: 0 }", [IMAGE], FREE),
        ("bias_param { axis: 0 }", [IMAGE, (2, 6)], FREE[1:]),
        ("bias_param { axis: -2 }", [IMAGE, (9, 7)], ("batch",)),
        ("", [IMAGE, ()], FREE),
    ],
    "Accum": [
        ("accum_param { have_reference: true }", [(2, 2, 3, 4), IMAGE, (2, 1, 8, 9)], FREE),
        ("accum_param { size_divisible_by: 8 }", [(2, 2, 3, 4), IMAGE], ("batch",)),
        ("", [IMAGE, (2, 2, 3, 4)], ("batch",)),
    ],
    "ChannelNorm": [("", [IMAGE], FREE)],
    "DataAugmentation": [
        ("augmentation_param { recompute_mean: 9 mean_per_pixel: false }", [IMAGE], FREE),
        ("augmentation_param { recompute_mean: 9 }", [IMAGE], ("batch",)),
        (
            "augmentation_param { mean: 1 mean: 2 mean: 3 mean_per_pixel: false }",
            [(2, 3, 5, 6)],
            FREE,
        ),
        ("", [IMAGE], FREE),
    ],
    "Correlation": [
        (
            "correlation_param { kernel_size: 1 max_displacement: 4 pad: 4 stride_2: 2 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        (
            "correlation_param { kernel_size: 3 max_displacement: 2 pad: 3 stride_1: 2 "
            "correlation_type: SUBTRACT }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        ("correlation_param { kernel_size: 3 max_displacement: 1 }", [IMAGE, IMAGE], ("batch",)),
    ],
    "Correlation1D": [
        (
            "correlation_param { kernel_size: 1 max_displacement: 3 pad: 3 single_direction: -1 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
        (
            "correlation_param { kernel_size: 3 max_displacement: 2 pad: 2 stride_1: 2 }",
            [IMAGE, IMAGE],
            ("batch",),
        ),
    ],
    "Downsample": [
        ("downsample_param { top_height: 4 top_width: 3 }", [IMAGE], ("batch",)),
        ("downsample_param { top_height: 9 top_width: 7 }", [IMAGE], ("batch",)),
        ("", [IMAGE, (2, 6, 3, 5)], ("batch",)),
    ],
    "FlowWarp": [
        ("", [IMAGE, (2, 2, 9, 7)], FREE),
        ("flow_warp_param { fill_value: NOT_A_NUMBER }", [IMAGE, (2, 2, 9, 7)], ("batch",)),
    ],
    "Resample": [
        ("resample_param { height: 18 width: 14 }", [IMAGE], ("batch",)),
        ("resample_param { height: 4 width: 3 type: CUBIC }", [IMAGE], ("batch",)),
        ("resample_param { height: 5 width: 9 type: NEAREST }", [IMAGE], ("batch",)),
        ("resample_param { type: CUBIC }", [IMAGE, (2, 6, 3, 5)], ("batch",)),
    ],
    "Clip": [
        ("clip_param { min: -0.5 max: 0.25 }", [IMAGE], FREE),
        ("clip_param { min: 1 max: -1 }", [IMAGE], FREE),
    ],
    "Concat": [
        ("", [IMAGE, (2, 3, 9, 7)], FREE),
        ("concat_param { axis: 2 }", [IMAGE, (2, 6, 1, 7)], ("batch", "width")),
        ("concat_param { concat_dim: 0 }", [IMAGE, IMAGE, IMAGE], FREE),
        ("", [IMAGE], FREE),
    ],
    "Convolution": [
        ("convolution_param { num_output: 4 kernel_size: 3 }", [IMAGE], FREE),
        (
            "convolution_param { num_output: 4 kernel_size: 3 pad: 2 stride: 2 dilation: 2 "
            "bias_term: false }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 9 kernel_h: 1 kernel_w: 5 pad_h: 1 pad_w: 0 "
            "stride_h: 3 stride_w: 1 group: 3 }",
            [IMAGE],
            FREE,
        ),
        ("convolution_param { num_output: 4 kernel_size: 1 pad: 1 stride: 2 }", [IMAGE], FREE),
        ("convolution_param { num_output: 4 kernel_size: 3 axis: 2 }", [(2, 3, 5, 8)], ()),
        (
            "convolution_param { num_output: 4 kernel_size: 3 axis: 2 }",
            [(2, 3, 5, 8, 6)],
            ("batch",),
        ),
        ("convolution_param { num_output: 4 kernel_size: 2 }", [(2, 3, 4, 5, 6)], ("batch",)),
        ("convolution_param { num_output: 4 kernel_size: 3 pad: 1 }", [(2, 3, 9)], ("batch",)),
        ("convolution_param { num_output: 4 }", [(5, 3)], ("batch",)),
        ("convolution_param { num_output: 4 kernel_size: 4 stride: 2 }", [(1, 2, 3, 3)], ()),
        (
            "top: 'a' top: 'b' convolution_param { num_output: 4 kernel_size: 3 }",
            [IMAGE, IMAGE],
            FREE,
        ),
    ],
    "ConvolutionDepthwise": [("convolution_param { kernel_size: 3 pad: 1 }", [IMAGE], FREE)],
    "Crop": [
        ("", [IMAGE, (2, 6, 5, 4)], ("batch",)),
        ("crop_param { offset: 1 offset: 2 }", [IMAGE, (2, 6, 5, 4)], ("batch",)),
        ("crop_param { axis: 1 offset: 1 }", [IMAGE, (2, 3, 8, 6)], ("batch",)),
    ],
    "CropCenter": [
        ("crop_center_param { crop_size: 0 crop_size: 1 crop_size: 2 crop_size: 1 }", [IMAGE], FREE)
    ],
    "Deconvolution": [
        ("convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }", [IMAGE], FREE),
        (
            "convolution_param { num_output: 6 kernel_size: 4 stride: 2 group: 6 "
            "bias_term: false }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 9 kernel_h: 2 kernel_w: 3 dilation: 2 group: 3 }",
            [IMAGE],
            FREE,
        ),
        (
            "convolution_param { num_output: 4 kernel_size: 3 stride: 2 axis: 2 }",
            [(2, 3, 5, 8)],
            (),
        ),
        (
            "convolution_param { num_output: 4 kernel_size: 2 stride: 3 }",
            [(2, 3, 4, 5, 6)],
            ("batch",),
        ),
    ],
    "DepthwiseConvolution": [
        ("convolution_param { num_output: 12 kernel_size: 3 stride: 2 }", [IMAGE], FREE)
    ],
    "Dropout": [("", [IMAGE], FREE), ("dropout_param { scale_train: false }", [IMAGE], FREE)],
    "SpatialDropout": [("", [IMAGE], FREE)],
    "ELU": [("elu_param { alpha: 0.3 }", [IMAGE], FREE)],
    "Eltwise": [
        ("", [IMAGE, IMAGE], FREE),
        ("eltwise_param { coeff: 1 coeff: -1 coeff: 0.5 }", [IMAGE, IMAGE, IMAGE], FREE),
        ("eltwise_param { operation: PROD }", [IMAGE, IMAGE, IMAGE], FREE),
        ("eltwise_param { operation: MAX }", [IMAGE, IMAGE], FREE),
    ],
    "Embed": [
        ("embed_param { input_dim: 11 num_output: 4 }", [(3, 5)], ("batch",)),
        ("embed_param { input_dim: 11 num_output: 4 bias_term: false }", [(6,)], ("batch",)),
    ],
    "Exp": [
        ("", [IMAGE], FREE),
        ("exp_param { base: 2 scale: 0.5 shift: -1 }", [IMAGE], FREE),
    ],
    "Filter": [("", [IMAGE, (2,)], ()), ("top: 'a' top: 'b'", [(9, 3), (9, 2, 2), (9, 1)], ())],
    "Flatten": [
        ("", [IMAGE], FREE),
        ("flatten_param { axis: 2 }", [IMAGE], FREE),
        ("flatten_param { axis: 0 end_axis: 1 }", [IMAGE], FREE),
        ("flatten_param { axis: 1 end_axis: -2 }", [IMAGE], FREE),
    ],
    "HSigmoid": [("", [IMAGE], FREE)],
    "HSwish": [("", [IMAGE], FREE)],
    "HardSigmoid": [("", [IMAGE], FREE)],
    "HardSwish": [("", [IMAGE], FREE)],
    "Im2col": [
        ("convolution_param { kernel_size: 3 pad: 1 stride: 2 }", [IMAGE], FREE),
        ("convolution_param { kernel_h: 2 kernel_w: 1 dilation: 2 }", [IMAGE], FREE),
    ],
    "InnerProduct": [
        ("inner_product_param { num_output: 5 }", [IMAGE], ("batch",)),
        (
            "inner_product_param { num_output: 5 transpose: true bias_term: false }",
            [(3, 7)],
            ("batch",),
        ),
        ("inner_product_param { num_output: 5 axis: 2 }", [(2, 3, 4)], ("batch",)),
        ("inner_product_param { num_output: 5 axis: -1 }", [IMAGE], FREE[:2]),
        ("inner_product_param { num_output: 5 axis: 0 }", [(4, 3)], ()),
    ],
    "Interp": [
        ("interp_param { height: 17 width: 5 }", [IMAGE], ("batch",)),
        ("interp_param { zoom_factor: 3 }", [IMAGE], FREE),
        ("interp_param { shrink_factor: 2 }", [IMAGE], FREE),
        ("interp_param { shrink_factor: 2 zoom_factor: 3 pad_beg: -1 pad_end: -2 }", [IMAGE], FREE),
    ],
    "L2Norm": [("", [IMAGE], FREE)],
    "LRN": [
        ("", [IMAGE], FREE),
        ("lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }", [IMAGE], FREE),
        ("lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 3 }", [IMAGE], FREE),
    ],
    "LSTM": [
        ("recurrent_param { num_output: 5 }", [(20, 3, 6), (20, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(1, 3, 6), (1, 3)], ("batch",)),
        (
            "top: 'a' top: 'h' top: 'c' recurrent_param { num_output: 5 expose_hidden: true }",
            [(20, 3, 6), (20, 3), (1, 3, 5), (1, 3, 5)],
            ("batch",),
        ),
        ("recurrent_param { num_output: 5 }", [(4, 3, 6), (4, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(4, 3, 2, 3), (4, 3), (3, 2, 2)], ("batch",)),
        (
            "top: 'a' top: 'h' top: 'c' recurrent_param { num_output: 5 expose_hidden: true }",
            [(4, 3, 6), (4, 3), (1, 3, 5), (1, 3, 5)],
            ("batch",),
        ),
    ],
    "LSTMUnit": [("top: 'c' top: 'h'", [(1, 3, 5), (1, 3, 20), (1, 3)], ())],
    "Log": [
        ("", [IMAGE], FREE),
        ("log_param { base: 10 scale: 0.25 shift: 5 }", [IMAGE], FREE),
    ],
    "MVN": [
        ("", [IMAGE], FREE),
        ("mvn_param { across_channels: true }", [IMAGE], FREE),
        ("mvn_param { normalize_variance: false }", [IMAGE], FREE),
        ("mvn_param { across_channels: true eps: 0.1 }", [(3, 5, 4)], ("batch",)),
        ("mvn_param { across_channels: true }", [(3, 5)], ("batch",)),
    ],
    "Mish": [("", [IMAGE], FREE)],
    "Normalize": [
        ("", [IMAGE], FREE),
        ("norm_param { across_spatial: false channel_shared: false }", [IMAGE], FREE),
        ("norm_param { across_spatial: false eps: 0.5 }", [(3, 5)], ("batch",)),
    ],
    "PReLU": [
        ("", [IMAGE], FREE),
        ("prelu_param { channel_shared: true }", [IMAGE], FREE),
        ("", [(4, 5)], ("batch",)),
    ],
    "Parameter": [("parameter_param { shape { dim: 2 dim: 3 } }", [], ())],
    "Permute": [("permute_param { order: 0 order: 2 order: 3 }", [IMAGE], FREE)],
    "Power": [
        ("", [IMAGE], FREE),
        ("power_param { scale: -2 shift: 0.5 }", [IMAGE], FREE),
        ("power_param { power: 2 }", [IMAGE], FREE),
        ("power_param { power: 0.5 shift: 9 }", [IMAGE], FREE),
        ("power_param { power: 3 scale: 0 shift: 2 }", [IMAGE], FREE),
        ("power_param { power: 0 }", [IMAGE], FREE),
    ],
    "RNN": [
        ("recurrent_param { num_output: 5 }", [(20, 3, 6), (20, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(4, 3, 6), (4, 3)], ("batch",)),
        (
            "top: 'o' top: 'h' recurrent_param { num_output: 5 expose_hidden: true }",
            [(4, 3, 6), (4, 3), (3, 2), (1, 3, 5)],
            ("batch",),
        ),
    ],
    "ReLU6": [("", [IMAGE], FREE), ("relu6_param { negative_slope: 0.1 }", [IMAGE], FREE)],
    "Reorg": [
        ("reorg_param { stride: 2 }", [(2, 8, 6, 4)], FREE),
        ("reorg_param { stride: 2 reverse: true }", [(2, 8, 3, 5)], FREE),
    ],
    "Resize": [
        ("resize_param { height: 5 width: 12 }", [IMAGE], ("batch",)),
        (
            "resize_param { is_pyramid_test: true out_height_scale: 1.5 out_width_scale: 0.6 }",
            [IMAGE],
            ("batch",),
        ),
    ],
    "Reverse": [("reverse_param { axis: 2 }", [IMAGE], FREE)],
    "ReLU": [("", [IMAGE], FREE), ("relu_param { negative_slope: 0.1 }", [IMAGE], FREE)],
    "Reduction": [
        (f"reduction_param {{ operation: {op} axis: {axis} coeff: {coeff} }}", [IMAGE], FREE)
        for op, axis, coeff in (
            ("SUM", 0, 1),
            ("ASUM", 1, 0.5),
            ("SUMSQ", 2, 2),
            ("MEAN", -1, 1),
            ("MEAN", 0, 3),
        )
    ],
    "Reshape": [
        ("reshape_param { shape { dim: 0 dim: -1 } }", [IMAGE], FREE),
        ("reshape_param { shape { dim: 0 dim: 3 dim: -1 dim: 7 } }", [IMAGE], FREE[:2]),
        ("reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: 3 } }", [IMAGE], FREE),
        ("reshape_param { axis: -1 shape { dim: 1 } }", [IMAGE], FREE),
        ("reshape_param { axis: 1 num_axes: 0 shape { dim: 1 } }", [IMAGE], FREE),
        ("reshape_param { axis: 2 shape { dim: -1 } }", [IMAGE], FREE),
    ],
    "SPP": [
        ("spp_param { pyramid_height: 3 }", [IMAGE], ("batch",)),
        ("spp_param { pyramid_height: 2 pool: AVE }", [(2, 3, 8, 5)], ("batch",)),
        ("spp_param { pyramid_height: 1 }", [IMAGE], ("batch",)),
    ],
    "Scale": [
        ("", [IMAGE], FREE),
        ("scale_param { bias_term: true }", [IMAGE], FREE),
        ("scale_param { axis: 2 num_axes: 2 bias_term: true }", [IMAGE], ("batch",)),
        ("scale_param { num_axes: 0 }", [IMAGE], FREE),
        ("scale_param { axis: 0 }", [IMAGE, (2,)], FREE[1:]),
        ("scale_param { axis: 0 bias_term: true }", [IMAGE, (2, 6)], FREE[1:]),
        ("", [(3, 5), (5,)], ()),
    ],
    "ShuffleChannel": [("shuffle_channel_param { group: 3 }", [IMAGE], FREE)],
    "Sigmoid": [("", [IMAGE], FREE)],
    "Slice": [
        ("top: 'a' top: 'b' top: 'c'", [IMAGE], FREE),
        ("top: 'a' top: 'b' slice_param { axis: 2 slice_point: 4 }", [IMAGE], FREE),
        ("top: 'a' top: 'b' slice_param { axis: 0 }", [IMAGE], FREE[1:]),
        ("slice_param { slice_dim: 1 }", [IMAGE], FREE),
    ],
    "Softmax": [
        ("", [IMAGE], FREE),
        ("softmax_param { axis: -1 }", [IMAGE], FREE),
        ("softmax_param { axis: 0 }", [(3, 4)], ("batch",)),
    ],
    "Split": [("top: 'a' top: 'b'", [IMAGE], FREE)],
    "Swish": [("swish_param { beta: 1.5 }", [IMAGE], FREE)],
    "TanH": [("", [IMAGE], FREE)],
    "Threshold": [("threshold_param { threshold: 0.3 }", [IMAGE], FREE)],
    "Tile": [
        ("tile_param { tiles: 3 }", [IMAGE], FREE),
        ("tile_param { axis: 0 tiles: 2 }", [IMAGE], FREE),
    ],
    "Unpooling": [
        (
            f"unpooling_param {{ unpool: {method} kernel_size: 3 stride: {stride} {size} }}",
            [IMAGE],
            ("batch",),
        )
        for method in ("MAX", "AVE", "TILE")
        for stride, size in ((2, ""), (2, "unpool_size: 16"), (3, "unpool_h: 31 unpool_w: 18"))
    ],
    "Upsample": [
        ("upsample_param { scale: 2 }", [IMAGE], FREE),
        ("upsample_param { scale_h: 1 scale_w: 3 }", [IMAGE], FREE),
    ],
}

#: Types whose cases are in a file of their own.
ELSEWHERE = {
    "Pooling": "test_exported_pooling.py",
    **dict.fromkeys(
        ("DetectionOutput", "PSROIPooling", "PriorBox", "Proposal", "ROIAlign", "ROIPooling"),
        "test_detection.py",
    ),
}


@pytest.mark.parametrize(
    "kind, text, shapes, free",
    [
        pytest.param(kind, *case, id=f"{kind}-{number}")
        for kind, cases in CASES.items()
        for number, case in enumerate(cases)
    ],
)
def test_a_layer(tmp_path, kind, text, shapes, free):
    made, model, _ = export(tmp_path, [f"type: '{kind}' {text}"], *shapes, dynamic=free)
    assert len(made.proofs) == (2 if free else 1)
    names = {node.name for node in model.graph.node}
    assert names & {
        "l0",
        "y0",
        "a",
    }  # a layer that changes nothing leaves a copy under its top's name


@pytest.mark.parametrize(
    "kind",
    [
        "ReLU",
        "PReLU",
        "Scale",
        "Bias",
        "BatchNorm",
        "BN",
        "Eltwise",
        "Softmax",
        "Dropout",
        "LRN",
        "MVN",
        "Power",
        "ELU",
        "Swish",
    ],
)
def test_in_place(tmp_path, kind):
    bottoms = "bottom: 'x0'" + (" bottom: 'x1' bottom: 'x2'" if kind == "Eltwise" else "")
    shapes = [IMAGE] * (3 if kind == "Eltwise" else 1)
    layers = [
        f"name: 'it' type: '{kind}' {bottoms} top: 'x0'",
        "name: 'after' type: 'Power' bottom: 'x0' top: 'y' power_param { scale: 3 }",
    ]
    made, model, _ = export(tmp_path, layers, *shapes, dynamic=True)
    assert list(made.outputs) == ["y"]


def test_every_type_has_a_case():
    missing = set(table.written_types()) - set(CASES) - set(ELSEWHERE)
    assert not missing, f"exported, but without a case: {sorted(missing)}"


def test_every_type_is_exported_cut_or_refused():
    types = set(caffe.layer_type_list())
    refused = {name for name in types if class_of(name).not_exported}
    written = set(table.written_types()) | table.SOURCES | table.CUT
    assert not refused & written
    missing = types - written - refused
    assert not missing, (
        f"neither exported nor refused on purpose: {sorted(missing)}; write a writer in "
        "caffe/export, or say in the layer's class why there is none: not_exported"
    )


def test_a_layer_says_itself_why_it_is_not_exported(monkeypatch, tmp_path):
    monkeypatch.setattr(class_of("Power"), "not_exported", "nobody has written it")
    monkeypatch.delitem(table._writers, "Power")
    with pytest.raises(caffe.export.ExportError, match="type Power.*: nobody has written it; exp"):
        export(tmp_path, ["type: 'Power'"], (1, 2))
