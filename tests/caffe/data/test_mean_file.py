"""Mean images: both ways of stating the shape, what is written, what is refused."""

import numpy as np
import pytest

from caffe.data import mean_file
from caffe.errors import DataError
from caffe.proto import caffe_pb2

MEAN = np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 7


def blob(shape=None, legacy=None, values=MEAN):
    message = caffe_pb2.BlobProto(data=values.ravel().tolist())
    if shape:
        message.shape.dim.extend(shape)
    if legacy:
        message.num, message.channels, message.height, message.width = legacy
    return message.SerializeToString()


@pytest.mark.parametrize("data", [blob(legacy=(1, 3, 2, 2)), blob((1, 3, 2, 2)), blob((3, 2, 2))])
def test_shapes(tmp_path, data):
    (tmp_path / "m").write_bytes(data)
    np.testing.assert_array_equal(mean_file.read(tmp_path / "m", (3, 2, 2)), MEAN)


def test_written_as_blobproto_of_the_legacy_shape(tmp_path):
    mean_file.write(tmp_path / "m", MEAN)
    assert (tmp_path / "m").read_bytes() == blob(legacy=(1, 3, 2, 2))


@pytest.mark.parametrize("data, shape, says", [
    (blob((2, 3, 2, 1)), None, r"\(2, 3, 2, 1\): expected one image"),
    (blob((12,)), None, r"the shape \(12,\): expected one image"),
    (blob((1, 3, 2, 2)), (3, 2, 3), "3 x 2 x 2, the images are 3 x 2 x 3"),
    (blob((1, 3, 2, 3)), None, "needs 18 values, the file holds 12"),
    (blob((1, 3, 2, 2))[:20], None, "not a whole BlobProto"),
    (b"\xff" * 30, None, "not a whole BlobProto"),
    (b"", None, "the file holds 0"),
])  # fmt: skip
def test_refused(tmp_path, data, shape, says):
    (tmp_path / "m.binaryproto").write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        mean_file.read(tmp_path / "m.binaryproto", shape)
    assert "m.binaryproto" in str(caught.value)


def test_missing_and_unwritable(tmp_path):
    with pytest.raises(DataError, match="cannot read the mean file .*gone"):
        mean_file.read(tmp_path / "gone")
    with pytest.raises(DataError, match="cannot write"):
        mean_file.write(tmp_path / "no" / "m", MEAN)
