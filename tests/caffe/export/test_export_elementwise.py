"""Layers that compute each number by itself: ONNX Runtime against the engine."""

import pytest
from exporting import FREE, IMAGE, each, in_place, prove

CASES = {
    "AbsVal": [("", [IMAGE], FREE)],
    "Axpy": [
        ("", [(2, 6), IMAGE, IMAGE], FREE),
        ("", [(2, 6, 1, 1), IMAGE, IMAGE], ("batch",)),
    ],
    "BNLL": [("", [IMAGE], FREE)],
    "Bias": [
        ("", [IMAGE], FREE),
        ("bias_param { axis: 2 num_axes: -1 }", [IMAGE], ("batch",)),
        ("bias_param { num_axes: 0 }", [IMAGE], FREE),
        ("bias_param { axis: 0 }", [IMAGE, (2, 6)], FREE[1:]),
        ("bias_param { axis: -2 }", [IMAGE, (9, 7)], ("batch",)),
        ("", [IMAGE, ()], FREE),
    ],
    "Clip": [
        ("clip_param { min: -0.5 max: 0.25 }", [IMAGE], FREE),
        ("clip_param { min: 1 max: -1 }", [IMAGE], FREE),
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
    "Exp": [
        ("", [IMAGE], FREE),
        ("exp_param { base: 2 scale: 0.5 shift: -1 }", [IMAGE], FREE),
    ],
    "HSigmoid": [("", [IMAGE], FREE)],
    "HSwish": [("", [IMAGE], FREE)],
    "HardSigmoid": [("", [IMAGE], FREE)],
    "HardSwish": [("", [IMAGE], FREE)],
    "Log": [
        ("", [IMAGE], FREE),
        ("log_param { base: 10 scale: 0.25 shift: 5 }", [IMAGE], FREE),
    ],
    "Mish": [("", [IMAGE], FREE)],
    "PReLU": [
        ("", [IMAGE], FREE),
        ("prelu_param { channel_shared: true }", [IMAGE], FREE),
        ("", [(4, 5)], ("batch",)),
    ],
    "Power": [
        ("", [IMAGE], FREE),
        ("power_param { scale: -2 shift: 0.5 }", [IMAGE], FREE),
        ("power_param { power: 2 }", [IMAGE], FREE),
        ("power_param { power: 0.5 shift: 9 }", [IMAGE], FREE),
        ("power_param { power: 3 scale: 0 shift: 2 }", [IMAGE], FREE),
        ("power_param { power: 0 }", [IMAGE], FREE),
    ],
    "ReLU6": [("", [IMAGE], FREE), ("relu6_param { negative_slope: 0.1 }", [IMAGE], FREE)],
    "ReLU": [("", [IMAGE], FREE), ("relu_param { negative_slope: 0.1 }", [IMAGE], FREE)],
    "Scale": [
        ("", [IMAGE], FREE),
        ("scale_param { bias_term: true }", [IMAGE], FREE),
        ("scale_param { axis: 2 num_axes: 2 bias_term: true }", [IMAGE], ("batch",)),
        ("scale_param { num_axes: 0 }", [IMAGE], FREE),
        ("scale_param { axis: 0 }", [IMAGE, (2,)], FREE[1:]),
        ("scale_param { axis: 0 bias_term: true }", [IMAGE, (2, 6)], FREE[1:]),
        ("", [(3, 5), (5,)], ()),
    ],
    "Sigmoid": [("", [IMAGE], FREE)],
    "Swish": [("swish_param { beta: 1.5 }", [IMAGE], FREE)],
    "TanH": [("", [IMAGE], FREE)],
    "Threshold": [("threshold_param { threshold: 0.3 }", [IMAGE], FREE)],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)


@pytest.mark.parametrize(
    "kind", ["ReLU", "PReLU", "Scale", "Bias", "Eltwise", "Dropout", "Power", "ELU", "Swish"]
)
def test_in_place(tmp_path, kind):
    in_place(tmp_path, kind)
