"""Layers and fields that only forks have: what is read, what is left out, what the messages say."""

import re
import warnings

import pytest

import caffe
from caffe.errors import LayerError, PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import forks, parse_text, read_solver
from caffe.prototxt.forks import ForeignFieldWarning

# One small net for each family of published prototxts, in the words of its files.
FAMILIES = {
    "SSD": """
        layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
          transform_param { mirror: true mean_value: 104 resize_param { prob: 1 resize_mode: WARP
            height: 300 interp_mode: LINEAR } emit_constraint { emit_type: CENTER }
            distort_param { hue_prob: 0.5 } expand_param { prob: 0.5 } }
          data_param { source: "x" batch_size: 32 backend: LMDB }
          annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 } } }
        layer { name: "conv4_3_norm" type: "Normalize" bottom: "data" top: "n"
          norm_param { across_spatial: false scale_filler { type: "constant" value: 20 } } }
        layer { name: "box" type: "PriorBox" bottom: "n" bottom: "data" top: "b"
          prior_box_param { min_size: 30.0 aspect_ratio: 2 flip: true variance: 0.1 } }
        layer { name: "out" type: "DetectionOutput" bottom: "n" bottom: "b" top: "o"
          detection_output_param { num_classes: 21 nms_param { nms_threshold: 0.45 } } }
        layer { name: "e" type: "DetectionEvaluate" bottom: "o" bottom: "label" top: "e"
          detection_evaluate_param { num_classes: 21 } }
        layer { name: "l" type: "MultiBoxLoss" bottom: "n" top: "l"
          multibox_loss_param { loc_loss_type: SMOOTH_L1 } }""",
    "py-faster-rcnn": """
        layer { name: "roi" type: "ROIPooling" bottom: "c" bottom: "rois" top: "p"
          roi_pooling_param { pooled_w: 7 pooled_h: 7 spatial_scale: 0.0625 } }
        layer { name: "drop" type: "Dropout" bottom: "p" top: "p"
          dropout_param { dropout_ratio: 0.5 scale_train: false } }
        layer { name: "loss" type: "SmoothL1Loss" bottom: "p" top: "l"
          smooth_l1_loss_param { sigma: 3.0 } }""",
    "SegNet": """
        layer { name: "data" type: "DenseImageData" top: "data" top: "label"
          dense_image_data_param { source: "x.txt" batch_size: 4 shuffle: true } }
        layer { name: "drop" type: "Dropout" bottom: "data" top: "data"
          dropout_param { dropout_ratio: 0.5 sample_weights_test: true } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss"
          loss_param { weight_by_label_freqs: true ignore_label: 11 class_weighting: 0.2595
            class_weighting: 0.1826 } }""",
    "DeepLab": """
        strict_dim: false
        layer { name: "data" type: "ImageSegData" top: "data" top: "label" top: "data_dim"
          image_data_param { root_folder: "x" source: "y" label_type: PIXEL batch_size: 10 } }
        layer { name: "mat" type: "MatWrite" bottom: "data"
          mat_write_param { prefix: "x" source: "y" strip: 0 period: 1 } }
        layer { name: "a" type: "SegAccuracy" bottom: "data" bottom: "label" top: "a"
          seg_accuracy_param { ignore_label: 255 } }""",
    "CRF-RNN": """
        layer { name: "inf1" type: "MultiStageMeanfield" bottom: "unary" bottom: "Q0" top: "pred"
          multi_stage_meanfield_param { num_iterations: 10 compatibility_mode: POTTS } }""",
    "DeconvNet": """
        layer { name: "unpool5" type: "Unpooling" bottom: "p" bottom: "mask" top: "u"
          unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 14 } }""",
    "FlowNet": """
        layer { name: "aug" type: "DataAugmentation" bottom: "img" top: "x"
          augmentation_param { augment_during_test: true recompute_mean: 1000 mean_per_pixel: false
            mirror { rand_type: "bernoulli" prob: 0.5 } noise { spread: 0.03 exp: false } } }
        layer { name: "acc" type: "Accum" bottom: "flow" bottom: "x" top: "flow1"
          accum_param { have_reference: true } }
        layer { name: "corr" type: "Correlation" bottom: "x" bottom: "y" top: "corr"
          correlation_param { pad: 20 kernel_size: 1 max_displacement: 20 stride_2: 2 } }
        layer { name: "down" type: "Downsample" bottom: "flow" bottom: "x" top: "small" }
        layer { name: "up" type: "Resample" bottom: "flow" top: "up"
          resample_param { width: 384 height: 320 type: NEAREST antialias: false } }
        layer { name: "warp" type: "FlowWarp" bottom: "img" bottom: "up" top: "warp"
          flow_warp_param { fill_value: ZERO } }
        layer { name: "err" type: "ChannelNorm" bottom: "warp" top: "err" }
        layer { name: "loss" type: "L1Loss" bottom: "flow" bottom: "small" top: "loss"
          l1_loss_param { l2_per_location: true normalize_by_num_entries: true } }""",
    "others": """
        layer { name: "a" type: "Axpy" bottom: "x" bottom: "y" bottom: "z" top: "a" }
        layer { name: "c" type: "CropCenter" bottom: "x" top: "c"
          crop_center_param { crop_size: 3 } }
        layer { name: "r" type: "Resize" bottom: "x" top: "r"
          resize_param { is_pyramid_test: true height: 4 } }""",
}


def quietly(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFieldWarning)
        return parse_text(text, caffe_pb2.NetParameter(), "n.prototxt")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forks_net_can_be_read(family):
    net = quietly(FAMILIES[family])
    assert [layer.name for layer in net.layer] and all(layer.type for layer in net.layer)


TWO_OF_A_TYPE = """
    layer { name: "a" type: "DomainTransform" bottom: "x" bottom: "y" top: "a"
      domain_transform_param { num_iter: 3 } convolution_param { num_output: 3 shared: 1 } }
    layer { name: "b" type: "DomainTransform" bottom: "a" bottom: "y" top: "b"
      domain_transform_param { num_iter: 1 } }
    layer { name: "f" type: "CustomData" top: "f" custom_param { } }"""


def test_one_warning_names_the_type_its_fork_and_what_is_left_out():
    with pytest.warns(ForeignFieldWarning) as caught:
        net = parse_text(TWO_OF_A_TYPE, caffe_pb2.NetParameter(), "n.prototxt")
    told = {str(w.message).split("of the type ")[1].split(",")[0]: str(w.message) for w in caught}
    assert len(caught) == 2 and set(told) == {layer.type for layer in net.layer}
    assert told["DomainTransform"] == (
        'n.prototxt:3:7: layer "a" (and 1 more) is of the type DomainTransform, a layer of DeepLab '
        "that is not implemented here. Its settings (domain_transform_param, shared) are left out; "
        "a net in a phase that needs the layer cannot be built."
    )
    assert net.layer[0].convolution_param.num_output == 3


def test_settings_of_layers_that_are_here_are_kept():
    """caffe upgrade_net_proto_text writes what it has read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(parse_text(FAMILIES["SSD"], caffe_pb2.NetParameter(), "n.prototxt"))
    for word in re.findall(r"(\w+) \{|(\w+):", FAMILIES["SSD"]):
        assert "".join(word) in text


TWO_PHASES = """
    layer { name: "d" type: "CustomData" top: "x" include { phase: TRAIN }
      custom_param { source: "x.txt" } }
    layer { name: "d" type: "Input" top: "x" include { phase: TEST }
      input_param { shape { dim: 1 dim: 2 } } }
    layer { name: "p" type: "Power" bottom: "x" top: "p" }"""


def test_a_net_runs_in_the_phase_that_does_without_the_forks_layer(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(TWO_PHASES)
    with pytest.warns(ForeignFieldWarning, match="CustomData"):
        assert caffe.Net(str(path), caffe.TEST).forward()["p"].shape == (1, 2)
    with pytest.warns(ForeignFieldWarning), pytest.raises(LayerError) as caught:
        caffe.Net(str(path), caffe.TRAIN)
    assert "Unknown layer type: 'CustomData'. It is a layer of FlowNet" in str(caught.value)


def test_the_settings_of_known_layers_stay_strict():
    text = 'layer { type: "Convolution" domain_transform_param { num_iter: 3 } }'
    with pytest.raises(PrototxtError) as caught:
        quietly(text)
    assert str(caught.value).endswith(
        "It holds the settings of DomainTransform, a layer of DeepLab, which BVLC Caffe does not "
        'have: give the layer type: "DomainTransform", or take the field out.'
    )
    with pytest.raises(PrototxtError, match='has no field named "min_sizes"'):
        quietly('layer { type: "Convolution" convolution_param { min_sizes: 3 } }')


@pytest.mark.parametrize("value", ["UNIQUE_LABEL", "DOMAIN_TRANSFORM"])
def test_a_type_of_the_old_enum_names_its_fork(value):
    with pytest.raises(PrototxtError) as caught:
        quietly(f"layers {{ type: {value} }}")
    assert f"{value} stands for " in str(caught.value)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ("convolutoin_param { }", '"convolution_param"'),
        ("convolution_parm { }", '"convolution_param"'),
        ("botom: 'x'", '"bottom"'),
        ("boxes_param { }", None),  # alike in nothing but the ending
        ("roi_param { }", None),
        ("power: 3", None),  # a message is no number
    ],
)
def test_a_guess_is_close_and_of_the_right_kind(field, near):
    with pytest.raises(PrototxtError) as caught:
        quietly(f"layer {{ {field} }}")
    guess = str(caught.value).partition("Did you mean ")[2]
    assert guess == (f"{near}?" if near else "")


def test_solver_fields_of_ssd(tmp_path):
    path = tmp_path / "s.prototxt"
    path.write_text(
        'net: "n" base_lr: 0.1 lr_policy: "fixed" eval_type: "detection" ap_version: "11point" '
        "show_per_class_result: true plateau_winsize: 20000"
    )
    with pytest.warns(ForeignFieldWarning) as caught:
        solver = read_solver(path)
    assert solver.ap_version == "11point" and solver.show_per_class_result
    (told,) = (str(w.message) for w in caught)
    assert "plateau_winsize: 20000 is a field of SSD" in told


def test_the_tables_name_no_type_or_field_that_is_here():
    known = set(caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name)
    assert not known & set(forks.SETTINGS)
    types = {name for of in forks.TYPES.values() for name in of}
    assert set(forks.SETTINGS.values()) <= types
    assert not types & set(caffe.layer_type_list())
    assert set(forks.WHY) == types, "WHY says of each type that is not here why it is not"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (r'name: "C:\data"', r"n\.prototxt:1:7: .*escape sequence \\d, .*slashes"),
        (r"name: 'a\\\q'", r"escape sequence \\q"),
        ("state { level: +5 }", r"n\.prototxt:1:16: \+5: a number has no plus sign"),
        ('layer { pooling_param { pool: "AVE" } }', "Write AVE without quotes"),
    ],
)
def test_what_protobufs_cpp_parser_refuses(text, match):
    with pytest.raises(PrototxtError, match=match):
        quietly(text)


def test_escapes_and_signs_that_are_right():
    text = r"""name: 'a\n\t\x41\101\\d\'"' # C:\data +5"""
    assert quietly(text + "\nlayer { loss_weight: 1e+2 }").name == "a\n\tAA\\d'\""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("shift: - 5", -5),
        ("shift: -\t.5 scale: - inf", -0.5),
        ("scale: 2 # - 3\n shift: - 1e1", -10),
        ("shift: -5", -5),
    ],
)
def test_a_minus_sign_may_stand_apart(text, value):
    """BVLC Caffe's parser takes it; checked on the original."""
    net = quietly(f'name: "a - b" layer {{ power_param {{ {text} }} }}')
    assert net.name == "a - b" and net.layer[0].power_param.shift == value


def test_a_question_mark_may_be_escaped():
    """BVLC Caffe reads the mark without the backslash; checked on the original."""
    assert quietly(r'name: "a\?\\?" # \?').name == "a?\\?"
