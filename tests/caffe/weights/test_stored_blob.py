"""Blobs as files hold them: which shapes they fit, numbers in several places."""

import os

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


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs /proc/self/smaps")
def test_what_was_copied_no_longer_counts_as_memory(tmp_path):
    numbers = np.arange(3_000_000, dtype=np.float32)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="big")])
    read = staticmethod(lambda: numbers)
    blob = type("Big", (), {"shape": numbers.shape, "data_numbers": read})
    weights.write_net(tmp_path / "big", net, [[blob]])
    (layer,) = weights.read_layers(tmp_path / "big")
    for _ in range(2):
        np.testing.assert_array_equal(layer.blobs[0].array(), numbers)
        with open("/proc/self/smaps") as stream:
            text = stream.read()
        of_file = text[text.index(str(tmp_path / "big")) :]
        resident = int(of_file[of_file.index("Rss:") :].split()[1])  # KB
        assert resident < 1000
