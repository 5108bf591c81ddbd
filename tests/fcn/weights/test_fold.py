"""BatchNorm and Scale folded into convolutions: the same numbers, when loaded by surgery."""

import os

import numpy as np
import pytest
from fcn_helpers import net_of

import surgery

INPUT = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 2 dim: 4 dim: 7 dim: 6 } } }
"""
CONV = """
layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"
         convolution_param {{ num_output: {2} kernel_size: 3 group: {3} bias_term: {4}
                              weight_filler {{ type: "gaussian" std: 0.3 }}
                              bias_filler {{ type: "gaussian" std: 1 }} }} }}
"""
NORM = (
    'layer {{ name: "{0}_bn" type: "BatchNorm" bottom: "{0}" top: "{0}" '
    "batch_norm_param {{ use_global_stats: true eps: 0.01 }} }}\n"
    'layer {{ name: "{0}_scale" type: "Scale" bottom: "{0}" top: "{0}" '
    "scale_param {{ bias_term: {1} }} }}"
)


def randomised(net):
    rng = np.random.RandomState(1)
    for name, blobs in net.params.items():
        if name.endswith("_bn"):
            factor = 2.5
            blobs[0].data[...] = factor * rng.standard_normal(blobs[0].data.shape)
            blobs[1].data[...] = factor * rng.uniform(0.1, 3, blobs[1].data.shape)
            blobs[2].data[...] = factor
        elif name.endswith("_scale"):
            for blob in blobs:
                blob.data[...] = rng.standard_normal(blob.data.shape)
    return net


@pytest.mark.parametrize("bias,beta", [("true", "true"), ("false", "true"), ("true", "false")])
def test_the_folded_net_computes_the_same(tmp_path, bias, beta):
    full = randomised(
        net_of(
            tmp_path,
            "\n".join(
                (
                    INPUT,
                    CONV.format("a", "data", 6, 2, bias),
                    NORM.format("a", beta),
                    CONV.format("b", "a", 5, 1, "true"),
                )
            ),
        )
    )
    path = os.path.join(str(tmp_path), "full.caffemodel")
    full.save(path)
    text = "\n".join(
        (INPUT, CONV.format("a", "data", 6, 2, "true"), CONV.format("b", "a", 5, 1, "true"))
    )
    folded = net_of(tmp_path, text, name="folded")
    report = surgery.load(folded, path)
    assert report.folded == {"a": ["a_bn", "a_scale"]} and not report.left
    assert "folded into convolutions: 2 BatchNorm and Scale layers" in report.summary()
    data = np.random.RandomState(2).standard_normal((2, 4, 7, 6))
    outputs = []
    for net in (full, folded):
        net.blobs["data"].data[...] = data
        outputs.append(net.forward()["b"].copy())
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)


def test_what_the_net_has_itself_is_not_folded(tmp_path):
    text = "\n".join((INPUT, CONV.format("a", "data", 6, 2, "true"), NORM.format("a", "true")))
    full = randomised(net_of(tmp_path, text))
    path = os.path.join(str(tmp_path), "full.caffemodel")
    full.save(path)
    again = net_of(tmp_path, text, name="again")
    assert surgery.load(again, path).folded == {}
    for name, blobs in full.params.items():
        for old, new in zip(blobs, again.params[name]):
            np.testing.assert_array_equal(old.data, new.data)


def test_a_convolution_without_bias_takes_the_weights_as_they_are(tmp_path):
    """It has no place for the mean: the file's own net is asked for, or the bias."""
    text = "\n".join((INPUT, CONV.format("a", "data", 6, 2, "false"), NORM.format("a", "true")))
    full = randomised(net_of(tmp_path, text))
    path = os.path.join(str(tmp_path), "full.caffemodel")
    full.save(path)
    bare = net_of(
        tmp_path, "\n".join((INPUT, CONV.format("a", "data", 6, 2, "false"))), name="bare"
    )
    assert surgery.load(bare, path).folded == {}
    np.testing.assert_array_equal(bare.params["a"][0].data, full.params["a"][0].data)
