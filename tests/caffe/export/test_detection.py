"""SSD's and R-CNN's layers: whole small nets of them."""

import itertools

import numpy as np
import pytest
from exporting import export

from caffe.export import ExportError

PRIORS = (
    "name: 'prior' type: 'PriorBox' bottom: 'map' bottom: 'x0' top: 'prior' prior_box_param { "
    "min_size: 8 max_size: 16 aspect_ratio: 2 variance: 0.1 variance: 0.1 variance: 0.2 "
    "variance: 0.2 }"
)


def ssd(settings, share=True, classes=4):
    """Boxes at 16 places, 4 a place."""
    locations = 16 if share else 16 * classes
    return [
        "name: 'map' type: 'Pooling' bottom: 'x0' top: 'map' pooling_param { pool: AVE "
        "kernel_size: 8 stride: 8 }",
        "name: 'loc' type: 'Convolution' bottom: 'map' top: 'loc' convolution_param { "
        f"num_output: {locations} kernel_size: 1 }}",
        "name: 'conf' type: 'Convolution' bottom: 'map' top: 'conf' convolution_param { "
        f"num_output: {4 * classes} kernel_size: 1 }}",
        "name: 'locp' type: 'Permute' bottom: 'loc' top: 'locp' permute_param { order: 0 order: 2 "
        "order: 3 order: 1 }",
        "name: 'locf' type: 'Flatten' bottom: 'locp' top: 'locf'",
        "name: 'confp' type: 'Permute' bottom: 'conf' top: 'confp' permute_param { order: 0 "
        "order: 2 order: 3 order: 1 }",
        "name: 'confr' type: 'Reshape' bottom: 'confp' top: 'confr' reshape_param { shape { dim: 0 "
        f"dim: -1 dim: {classes} }} }}",
        "name: 'prob' type: 'Softmax' bottom: 'confr' top: 'prob' softmax_param { axis: 2 }",
        "name: 'conff' type: 'Flatten' bottom: 'prob' top: 'conff'",
        PRIORS,
        "name: 'out' type: 'DetectionOutput' bottom: 'locf' bottom: 'conff' bottom: 'prior' "
        f"top: 'out' detection_output_param {{ num_classes: {classes} {settings} }}",
    ]


SETTINGS = [
    f"code_type: {code} nms_param {{ nms_threshold: 0.45 {top} }} {keep} {more}"
    for code, (top, keep), more in itertools.product(
        ("CENTER_SIZE", "CORNER", "CORNER_SIZE"),
        (("top_k: 10", "keep_top_k: 7"), ("", "keep_top_k: -1"), ("top_k: 400", "keep_top_k: 200")),
        ("confidence_threshold: 0.3", "background_label_id: -1 clip: true"),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SETTINGS)))
@pytest.mark.parametrize("share", [True, False], ids=["shared", "own"])
def test_detections(tmp_path, number, share):
    text = SETTINGS[number] + f" share_location: {str(share).lower()}"
    made, _, _ = export(tmp_path, ssd(text, share), (2, 3, 32, 32), dynamic=["batch"], seed=number)
    assert made.outputs == {"out": [1, 1, "out_2", 7]}


def test_nothing_found_is_a_row_for_each_item(tmp_path):
    text = "nms_param { nms_threshold: 0.5 } confidence_threshold: 1.5"
    export(tmp_path, ssd(text), (2, 3, 32, 32), dynamic=["batch"])


def test_boxes_keep_the_size_fixed(tmp_path):
    made, _, _ = export(
        tmp_path, ssd("nms_param { nms_threshold: 0.5 }"), (2, 3, 32, 32), dynamic=True
    )
    assert made.inputs == {"x0": ["batch", 3, 32, 32]}
    assert "layer 'prior' (type PriorBox)" in made.notes[0]


def test_a_threshold_that_changes_is_refused(tmp_path):
    with pytest.raises(ExportError, match="layer 'out'.*eta 0.9"):
        export(tmp_path, ssd("nms_param { nms_threshold: 0.5 eta: 0.9 }"), (1, 3, 32, 32))


RPN = [
    "name: 'map' type: 'Pooling' bottom: 'x0' top: 'map' pooling_param { pool: AVE kernel_size: 8 "
    "stride: 8 }",
    "name: 'score' type: 'Convolution' bottom: 'map' top: 'score' convolution_param { "
    "num_output: 18 kernel_size: 1 }",
    "name: 'delta' type: 'Convolution' bottom: 'map' top: 'delta0' convolution_param { "
    "num_output: 36 kernel_size: 1 }",
    "name: 'small' type: 'Power' bottom: 'delta0' top: 'delta' power_param { scale: 0.02 }",
    "name: 'sig' type: 'Sigmoid' bottom: 'score' top: 'prob'",
]


def proposal(settings):
    return [
        *RPN,
        "name: 'rois' type: 'Proposal' bottom: 'prob' bottom: 'delta' bottom: 'x1' top: 'rois' "
        f"top: 'scores' proposal_param {{ feat_stride: 8 base_size: 8 scale: 1 scale: 2 scale: 4 "
        f"{settings} }}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [(), True], ids=["fixed", "dynamic"])
@pytest.mark.parametrize(
    "settings",
    [
        "pre_nms_topn: 40 post_nms_topn: 9 nms_thresh: 0.5 min_size: 6",
        "pre_nms_topn: 6000 post_nms_topn: 300 nms_thresh: 0.7 min_size: 0",
        "post_nms_topn: 20 nms_thresh: 0.3 min_size: 12",
    ],
)
def test_proposals(tmp_path, settings, dynamic):
    made, _, _ = export(tmp_path, proposal(settings), (2, 3, 48, 64), (2, 3), dynamic=dynamic)
    assert set(made.outputs) == {"rois", "scores"}


def test_proposals_of_py_faster_rcnn(tmp_path):
    text = "\\'feat_stride\\': 8\\n\\'scales\\': (1, 2, 4)\\n\\'RPN_MIN_SIZE\\': 6"
    layers = [
        *RPN,
        "name: 'rois' type: 'Python' bottom: 'prob' bottom: 'delta' bottom: 'x1' top: 'rois' "
        "python_param { module: 'rpn.proposal_layer' layer: 'ProposalLayer' "
        f"param_str: '{text}' }}",
    ]
    export(tmp_path, layers, (1, 3, 48, 64), (1, 3))


def test_a_whole_detector_of_regions(tmp_path):
    layers = [
        *proposal("pre_nms_topn: 40 post_nms_topn: 9 nms_thresh: 0.5 min_size: 6"),
        "name: 'pool' type: 'ROIPooling' bottom: 'map' bottom: 'rois' top: 'pool' "
        "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.125 }",
        "name: 'fc' type: 'InnerProduct' bottom: 'pool' top: 'fc' inner_product_param { "
        "num_output: 5 }",
        "name: 'cls' type: 'Softmax' bottom: 'fc' top: 'cls'",
    ]
    made, _, _ = export(tmp_path, layers, (1, 3, 48, 64), (1, 3), dynamic=["height", "width"])
    assert set(made.outputs) == {"cls", "scores"}
    assert made.outputs["cls"] == ["cls_0", 5]


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1, 1)], ids=str)
def test_pooling_of_regions(tmp_path, shape):
    layer = "type: 'ROIPooling' roi_pooling_param { pooled_h: 3 pooled_w: 4 spatial_scale: 0.25 }"
    export(tmp_path, [layer], (2, 3, 12, 15), shape, dynamic=["height", "width"])
    layer = (
        "type: 'PSROIPooling' psroi_pooling_param { spatial_scale: 0.25 output_dim: 2 "
        "group_size: 3 }"
    )
    export(tmp_path, [layer], (2, 18, 12, 15), shape, dynamic=["height", "width"])
    for ratio in (-1, 2):
        layer = (
            "type: 'ROIAlign' roi_align_param { pooled_h: 3 pooled_w: 4 spatial_scale: 0.25 "
            f"sampling_ratio: {ratio} }}"
        )
        export(tmp_path, [layer], (2, 3, 12, 15), shape, dynamic=["height", "width"])
    assert np.prod(shape) == 30
