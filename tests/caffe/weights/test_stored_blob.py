"""Blobs as files hold them: which shapes they fit, numbers in several places."""

import numpy as np
import pytest

from caffe import weights
from caffe.proto import caffe_pb2
from caffe.weights.stored_blob import StoredBlob


@pytest.mark.parametrize(
    ("legacy", "shape", "fits"),
    [
        ((1, 1, 1, 3), (3,), True),
        ((1, 1, 2, 3), (2, 3), True),
        ((1, 1, 2, 3), (1, 2, 3), True),
        ((4, 1, 2, 3), (4, 1, 2, 3), True),
        ((1, 1, 2, 3), (3, 2), False),
        ((1, 2, 3, 1), (2, 3), False),
        ((1, 1, 2, 3), (1, 1, 1, 2, 3), False),
    ],
)
def test_legacy_shapes_fit_with_leading_ones(legacy, shape, fits):
    assert StoredBlob("", legacy=legacy).matches(shape) is fits


def test_new_shapes_must_be_equal():
    assert StoredBlob("", shape=(2, 3)).matches((2, 3))
    assert not StoredBlob("", shape=(1, 1, 2, 3)).matches((2, 3))
    assert StoredBlob("", shape=()).matches(())


@pytest.mark.slow
def test_a_large_blob_is_copied_in_pieces(tmp_path):
    numbers = np.random.RandomState(0).randn(20_000_000).astype(np.float32)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="big")])
    read = staticmethod(lambda: numbers)
    blob = type("Big", (), {"shape": numbers.shape, "data_numbers": read})
    weights.write_net(tmp_path / "big", net, [[blob]])
    (layer,) = weights.read_layers(tmp_path / "big")
    np.testing.assert_array_equal(layer.blobs[0].array(), numbers)
