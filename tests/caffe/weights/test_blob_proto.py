"""BlobProto messages: doubles, unpacked numbers, NVIDIA Caffe's, damaged shapes."""

import numpy as np
import pytest
from weight_files import as_blob, net_with, nvidia_blob, write

from caffe import weights
from caffe.errors import WeightsError
from caffe.proto import caffe_pb2
from caffe.weights import solver_state, wire


def test_doubles_count_where_both_are_stored(tmp_path):
    net = caffe_pb2.NetParameter()
    blob = net.layer.add(name="a").blobs.add()
    blob.shape.dim.extend([3])
    blob.data.extend([9, 9, 9])
    blob.double_data.extend([1, 2.5, 1e300])
    blob.double_diff.extend([4, 5, 6])
    (layer,) = weights.read_layers(write(tmp_path, net))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(layer.blobs[0].array(), np.float32([1, 2.5, np.inf]))
    diff = np.empty(3, np.float32)
    layer.blobs[0].copy_diff_to(diff)
    np.testing.assert_array_equal(diff, [4, 5, 6])


@pytest.mark.parametrize("size", [4, 8])
def test_unpacked_numbers_in_any_mixture_with_packed_ones(tmp_path, size):
    numbers = np.arange(3000, dtype=f"<f{size}")
    tag, code = (b"\x2d", b"\x2a") if size == 4 else (b"\x41", b"\x42")
    raw = [n.tobytes() for n in numbers]
    blob = b"".join(tag + r for r in raw[:1000])
    blob += b"\x3a\x04\x0a\x02" + wire.varint(3000)  # the shape, in between
    blob += tag + raw[1000]
    blob += code + wire.varint(size * 1000) + b"".join(raw[1001:2001])
    blob += b"".join(tag + r for r in raw[2001:])
    path = write(tmp_path, net_with(blob))
    assert caffe_pb2.NetParameter.FromString(path.read_bytes()).layer[0].blobs[0].shape.dim == [
        3000
    ]
    (layer,) = weights.read_layers(path)
    np.testing.assert_array_equal(layer.blobs[0].array(), np.arange(3000))


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8"])
def test_weights_of_nvidia_caffe_in_half_and_other_precision(tmp_path, kind):
    numbers = [0, -0.0, 1.5, -65504, 2**-24, np.inf]
    blob = nvidia_blob(kind, numbers, (2, 3))
    layer = b"\x0a\x01c\x3a" + wire.varint(len(blob)) + blob
    path = write(tmp_path, b"\xa2\x06" + wire.varint(len(layer)) + layer)
    ((stored,),) = [x.blobs for x in weights.read_layers(path)]
    expected = np.array(numbers, np.float32).reshape(2, 3)
    np.testing.assert_array_equal(stored.array(), expected)
    target = as_blob(np.zeros((2, 3)))
    assert weights.load(path, [("c", [target])]) == []
    np.testing.assert_array_equal(target.data, expected)
    np.testing.assert_array_equal(target.diff, expected)
    state = tmp_path / "s.solverstate"
    state.write_bytes(b"\x08\x05\x1a" + wire.varint(len(blob)) + blob)
    (history,) = solver_state.read_solver_state(state).history
    np.testing.assert_array_equal(history.array(), expected)


def test_whole_numbers_of_nvidia_caffe_and_fields_of_other_forks_are_named(tmp_path):
    for blob, message in (
        (nvidia_blob("<i4", [1, 2], (2,)), "raw numbers of the type 3, expected 0, 1, 2"),
        (b"\x3a\x03\x0a\x01\x02\xa2\x01\x04abcd", "field 20, which neither .*another fork wrote"),
        (nvidia_blob("<f2", [1, 2], (3,)), "needs 3 values, the file holds 2. The file is dam"),
    ):
        with pytest.raises(WeightsError, match=message):
            weights.read_layers(write(tmp_path, net_with(blob)))


def test_a_shape_that_reaches_beyond_its_message_is_damage(tmp_path):
    net = caffe_pb2.NetParameter()
    blob = net.layer.add(name="ip").blobs.add(data=[1.0])
    blob.shape.dim.append(1)
    content = net.SerializeToString()
    assert content.endswith(b"\x3a\x03\x0a\x01\x01")  # shape: 3 bytes, dim: 1 byte, 1
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(content[:-2] + b"\x05\x01")
    with pytest.raises(WeightsError, match="a length beyond the end of the blob's shape"):
        weights.read_layers(path)


def test_a_damaged_field_beside_the_blobs_is_an_error(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="conv").convolution_param.num_output = 5
    content = net.SerializeToString()
    assert content.endswith(b"\x08\x05")  # num_output
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(content[:-1] + b"\x85")  # a number that does not end
    with pytest.raises(WeightsError, match="layer 'conv'.*the field convolution_param is damaged"):
        weights.read_layers(path)


@pytest.mark.parametrize("axes", [32, 33])
def test_a_shape_has_at_most_32_axes(axes, tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="ip").blobs.add(data=[1.0]).shape.dim.extend([1] * axes)
    path = tmp_path / "axes.caffemodel"
    path.write_bytes(net.SerializeToString())
    if axes == 32:
        assert weights.read_layers(path)[0].blobs[0].shape == (1,) * 32
    else:
        with pytest.raises(WeightsError, match="a shape of more than 32 axes"):
            weights.read_layers(path)
