"""SSD's layers: whole small nets of them."""

import itertools

import pytest
from exporting import export

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


@pytest.mark.parametrize("code", ["CENTER_SIZE", "CORNER"])
@pytest.mark.parametrize("eta", [0.9, 0.5])
def test_a_threshold_that_changes_from_box_to_box(tmp_path, code, eta):
    text = f"code_type: {code} nms_param {{ nms_threshold: 0.9 eta: {eta} top_k: 30 }} "
    text += "confidence_threshold: 0.2 keep_top_k: 20"
    made, _, _ = export(tmp_path, ssd(text), (2, 3, 32, 32), dynamic=["batch"])
    assert made.outputs == {"out": [1, 1, "out_2", 7]}


@pytest.mark.parametrize("code", ["CENTER_SIZE", "CORNER_SIZE", "CORNER"])
def test_refinedet(tmp_path, code):
    *layers, out = ssd(f"code_type: {code} nms_param {{ nms_threshold: 0.45 }} keep_top_k: 20 "
                       "objectness_score: 0.4")  # fmt: skip
    for name, numbers in (("there", 2), ("move", 4)):
        layers += [
            f"name: '{name}' type: 'Convolution' bottom: 'map' top: '{name}' convolution_param {{ "
            f"num_output: {4 * numbers} kernel_size: 1 }}",
            f"name: '{name}p' type: 'Permute' bottom: '{name}' top: '{name}p' permute_param {{ "
            "order: 0 order: 2 order: 3 order: 1 }",
            f"name: '{name}f' type: 'Flatten' bottom: '{name}p' top: '{name}f'",
        ]
    out = out.replace("bottom: 'prior'", "bottom: 'prior' bottom: 'theref' bottom: 'movef'")
    made, _, _ = export(tmp_path, [*layers, out], (2, 3, 32, 32), dynamic=["batch"])
    assert made.outputs == {"out": [1, 1, "out_2", 7]}


@pytest.mark.parametrize("clip", ["true", "false"])
def test_boxes_in_pixels(tmp_path, clip):
    """OpenCV's form: priors in pixels, without variances; the image for its size."""
    settings = (
        "code_type: CENTER_SIZE normalized_bbox: false variance_encoded_in_target: true "
        f"share_location: false clip: {clip} keep_top_k: 20 nms_param {{ nms_threshold: 0.4 }}"
    )
    *layers, out = ssd(settings, share=False)
    layers += [
        "name: 'slice' type: 'Slice' bottom: 'prior' top: 'boxes' top: 'variances' slice_param { "
        "slice_point: 1 }",
        "name: 'pixels' type: 'Power' bottom: 'boxes' top: 'pixels' power_param { scale: 32 }",
    ]
    out = out.replace("bottom: 'prior'", "bottom: 'pixels' bottom: 'x0'")
    made, _, _ = export(tmp_path, [*layers, out], (1, 3, 32, 32))
    assert made.outputs["out"] == [1, 1, "out_2", 7]
