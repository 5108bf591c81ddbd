"""Norms and Softmax: ONNX Runtime against the engine on random parameters."""

import pytest
from exporting import FREE, IMAGE, each, in_place, prove

CASES = {
    "BN": [
        ("", [IMAGE], FREE),
        ("bn_param { statistics: BATCH eps: 0.01 }", [IMAGE], FREE),
        ("bn_param { statistics: NONE }", [IMAGE], FREE),
    ],
    "SyncBN": [("", [IMAGE], FREE)],
    "BatchNorm": [
        ("", [IMAGE], FREE),
        ("batch_norm_param { eps: 0.1 }", [(4, 5)], ("batch",)),
        ("batch_norm_param { use_global_stats: false }", [IMAGE], FREE),
    ],
    "L2Norm": [("", [IMAGE], FREE)],
    "LRN": [
        ("", [IMAGE], FREE),
        ("lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }", [IMAGE], FREE),
        ("lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 3 }", [IMAGE], FREE),
    ],
    "MVN": [
        ("", [IMAGE], FREE),
        ("mvn_param { across_channels: true }", [IMAGE], FREE),
        ("mvn_param { normalize_variance: false }", [IMAGE], FREE),
        ("mvn_param { across_channels: true eps: 0.1 }", [(3, 5, 4)], ("batch",)),
        ("mvn_param { across_channels: true }", [(3, 5)], ("batch",)),
    ],
    "Normalize": [
        ("", [IMAGE], FREE),
        ("norm_param { across_spatial: false channel_shared: false }", [IMAGE], FREE),
        ("norm_param { across_spatial: false eps: 0.5 }", [(3, 5)], ("batch",)),
    ],
    "Softmax": [
        ("", [IMAGE], FREE),
        ("softmax_param { axis: -1 }", [IMAGE], FREE),
        ("softmax_param { axis: 0 }", [(3, 4)], ("batch",)),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)


@pytest.mark.parametrize("kind", ["BatchNorm", "BN", "Softmax", "LRN", "MVN"])
def test_in_place(tmp_path, kind):
    in_place(tmp_path, kind)
