"""R-CNN's layers: whole small nets of them."""

import numpy as np
import pytest
from exporting import export

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
    made, _, _ = export(tmp_path, layers, (1, 3, 48, 64), (1, 3), dynamic=True)
    assert made.inputs["x0"][0] == 1 and "one image at a time, got a batch of 2" in made.notes[0]


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


@pytest.mark.parametrize("dynamic", [(), ["batch"]], ids=["fixed", "batch"])
def test_a_whole_detector_in_opencvs_words(tmp_path, dynamic):
    """Regions as the priors of a DetectionOutput: how many there are is found when it runs."""
    reshape = "reshape_param {{ shape {{ dim: 1 {} dim: 1 }} }}"
    layers = [
        *proposal("pre_nms_topn: 40 post_nms_topn: 9 nms_thresh: 0.5 min_size: 0"),
        "name: 'pool' type: 'ROIPooling' bottom: 'map' bottom: 'rois' top: 'pool' "
        "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.125 }",
        *(
            f"name: '{name}' type: 'InnerProduct' bottom: 'pool' top: '{name}' "
            f"inner_product_param {{ num_output: {count} }}"
            for name, count in (("cls", 3), ("loc", 12))
        ),
        "name: 'share' type: 'Softmax' bottom: 'cls' top: 'share'",
        *(
            f"name: '{name}r' type: 'Reshape' bottom: '{name}' top: '{name}r' "
            + reshape.format("dim: -1 dim: 1")
            for name in ("share", "loc")
        ),
        "name: 'slice' type: 'Slice' bottom: 'rois' top: 'item' top: 'boxes' slice_param { "
        "slice_point: 1 }",
        "name: 'prior' type: 'Reshape' bottom: 'boxes' top: 'prior' "
        + reshape.format("dim: 1 dim: -1"),
        "name: 'out' type: 'DetectionOutput' bottom: 'locr' bottom: 'sharer' bottom: 'prior' "
        "bottom: 'x0' top: 'out' detection_output_param { num_classes: 3 share_location: false "
        "code_type: CENTER_SIZE normalized_bbox: false clip: true variance_encoded_in_target: true "
        "nms_param { nms_threshold: 0.3 top_k: 400 } keep_top_k: 20 }",
    ]
    made, _, _ = export(tmp_path, layers, (1, 3, 48, 64), (1, 3), dynamic=dynamic)
    assert made.outputs["out"] == [1, 1, "out_2", 7]


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
