"""Sizes, memory and fields of nets as operations, against counts by hand."""

from fractions import Fraction

import pytest
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn.geometry.fields import Field, Geometry, fields, geometry, memory, shapes, widest
from fcn.geometry.ops import InferenceError, read_ops

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
  convolution_param { num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "score" type: "Crop" bottom: "up" bottom: "data" top: "score"
  crop_param { axis: 2 offset: 1 } }
"""


@pytest.fixture(scope="module")
def ops():
    return read_ops(text_format.Parse(NET, caffe_pb2.NetParameter()))


def test_shapes(ops):
    assert shapes(ops, 9, 12) == {
        "data": (3, 9, 12),
        "conv": (4, 9, 12),
        "pool": (4, 5, 6),  # rounded up
        "up": (2, 12, 14),
        "score": (2, 9, 12),
    }


def test_fields(ops):
    found = fields(ops, 0)
    assert found["conv"] == Field(Fraction(1), Fraction(-1), Fraction(1))
    assert found["pool"] == Field(Fraction(2), Fraction(-1), Fraction(2))
    assert found["score"].scale == 1
    # A pixel depends on two windows of three pixels beside each other's pooling cells.
    around = geometry(ops, "score", 0)
    assert around.period == 2 and 2 <= around.before <= 4 and 2 <= around.after <= 4


def test_memory_counts_every_blob_and_two_of_the_largest(ops):
    sizes = [channels * h * w for channels, h, w in shapes(ops, 9, 12).values()]
    kept = sum(op.kept[0] * sizes[list(shapes(ops, 9, 12)).index(op.tops[0])] for op in ops)
    assert memory(ops, 9, 12, unrolled=False) == 4 * (sum(sizes) + kept + 2 * max(sizes))
    assert memory(ops, 9, 12, unrolled=True) > 4 * sum(sizes) + 4 * 9 * 3 * 9 * 12


def test_an_image_too_small_names_the_layer():
    text = NET.replace("pad: 1", "pad: 0")
    small = read_ops(text_format.Parse(text, caffe_pb2.NetParameter()))
    with pytest.raises(InferenceError, match="2x2 .* too small: nothing is left .* layer 'conv'"):
        shapes(small, 2, 2)
    with pytest.raises(InferenceError, match="'pool' has one position for 2 pixels"):
        geometry(small, "pool", 0)


def test_several_heads():
    assert widest([Geometry(1, 5, 4), Geometry(3, 2, 6)]) == Geometry(3, 5, 12)
