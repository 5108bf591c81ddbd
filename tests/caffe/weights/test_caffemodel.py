"""caffemodel files: BVLC Caffe's own, of two generations, cut and damaged ones."""

import numpy as np
import pytest
from weight_files import GOLDEN, as_blob, legacy_blob, net_with, write

from caffe import weights
from caffe.errors import WeightsError
from caffe.proto import caffe_pb2
from caffe.weights import caffemodel, solver_state, wire


@pytest.mark.parametrize("name", ["snap_iter_3.caffemodel", "snap_with_diff.caffemodel"])
def test_caffemodel_of_bvlc_is_read(values, name):
    with_diff = "diff" in name
    layers = {layer.name: layer for layer in weights.read_layers(GOLDEN / name)}
    assert layers["conv"].type == "Convolution"
    seen = set()
    for layer in layers.values():
        for i, stored in enumerate(layer.blobs):
            expected = values[f"{layer.name}.{i}"]
            assert stored.matches(expected.shape)
            np.testing.assert_array_equal(stored.array(), expected)
            assert stored.has_diff == with_diff
            if with_diff:
                diff = np.empty_like(expected)
                stored.copy_diff_to(diff)
                np.testing.assert_array_equal(diff, values[f"{layer.name}.{i}.diff"])
            seen.add(f"{layer.name}.{i}")
    assert seen == {key for key in values if not key.endswith("diff")}


@pytest.mark.parametrize("name", ["snap_iter_3.caffemodel", "snap_with_diff.caffemodel"])
def test_caffemodel_is_written_byte_for_byte_as_by_bvlc(tmp_path, name):
    net = caffe_pb2.NetParameter.FromString((GOLDEN / name).read_bytes())
    blobs = []
    for layer in net.layer:
        blobs.append(
            [
                as_blob(
                    np.reshape(b.data, list(b.shape.dim)),
                    np.reshape(b.diff, list(b.shape.dim)) if b.diff else None,
                )
                for b in layer.blobs
            ]
        )
        layer.ClearField("blobs")
    weights.write_net(tmp_path / "w", net, blobs, write_diff="diff" in name)
    assert (tmp_path / "w").read_bytes() == (GOLDEN / name).read_bytes()


def test_v1_and_v0_layers(tmp_path):
    net = caffe_pb2.NetParameter()
    v1 = net.layers.add(name="one", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    legacy_blob(v1.blobs.add(), [[1, 2, 3], [4, 5, 6]])
    legacy_blob(v1.blobs.add(), [7, 8])
    v0 = net.layers.add().layer
    v0.name, v0.type = "old", "conv"
    legacy_blob(v0.blobs.add(), np.arange(8).reshape(2, 1, 2, 2))
    one, old = weights.read_layers(write(tmp_path, net))
    assert (one.name, one.type) == ("one", "INNER_PRODUCT")
    assert one.blobs[0].matches((2, 3)) and one.blobs[1].matches((2,))
    array = np.empty((2, 3), np.float32)
    one.blobs[0].copy_to(array)
    np.testing.assert_array_equal(array, [[1, 2, 3], [4, 5, 6]])
    assert (old.name, old.type) == ("old", "conv")
    np.testing.assert_array_equal(old.blobs[0].array().ravel(), np.arange(8))


@pytest.mark.slow
def test_a_cut_at_any_byte_is_an_error_or_a_whole_number_of_layers():
    """Wherever the file is cut, the reader notices, unless the cut is between two fields."""
    whole = (GOLDEN / "snap_with_diff.caffemodel").read_bytes()
    boundaries = {f.end for f in wire.fields(whole, 0, len(whole))} | {0}
    for size in range(1, len(whole)):
        try:
            caffemodel.parse_layers("cut", whole[:size])
        except WeightsError as error:
            assert size not in boundaries
            assert "cut" in str(error) and "offset" in str(error)
        else:
            assert size in boundaries


def test_a_cut_inside_a_blob_names_file_layer_blob_and_bytes(tmp_path):
    whole = (GOLDEN / "snap_iter_3.caffemodel").read_bytes()
    numbers = whole.index(b"\x2a" + wire.varint(4 * 54))
    path = write(tmp_path, whole[: numbers + 3 + 100])
    with pytest.raises(
        WeightsError,
        match=rf"w\.caffemodel, layer 'conv', blob 0: the file ends inside the blob's numbers: "
        rf"expected 216 bytes from offset {numbers + 3}, 100 are there",
    ):
        weights.read_layers(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff" * 40, "more than 10 bytes"),
        (
            net_with(b"\x3a\x03\x0a\x01\x05\x2a\x04abcd"),
            "5 values.*holds 1",
        ),
        (net_with(b"\x2a\x03abc"), "multiple of 4"),
        (net_with(b"\x3a\x0c\x0a\x0a" + wire.varint(-5)), "negative length"),
    ],
)
def test_what_is_no_caffemodel_is_one_clear_error(tmp_path, content, message):
    with pytest.raises(WeightsError, match=message) as caught:
        weights.read_layers(write(tmp_path, content))
    assert "w.caffemodel" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    for function in (weights.read_layers, weights.is_hdf5, solver_state.read_solver_state):
        with pytest.raises(WeightsError, match=r"nothing\.here: No such file"):
            function(tmp_path / "nothing.here")


def test_an_array_of_the_wrong_size_is_refused(tmp_path):
    (layer,) = weights.read_layers(write(tmp_path, net_with(b"\x3a\x03\x0a\x01\x01\x2a\x04abcd")))
    with pytest.raises(WeightsError, match="array of 2"):
        layer.blobs[0].copy_to(np.empty(2, np.float32))


def test_layers_of_two_generations_in_one_file_are_refused(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="new")
    net.layers.add(name="old")
    path = tmp_path / "mixed.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(WeightsError, match="both layers of today .* and of before 2015"):
        weights.read_layers(path)


def test_oldest_layers_hide_new_ones_as_in_bvlc(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="new")
    net.layers.add().layer.name = "oldest"
    path = tmp_path / "mixed.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert [layer.name for layer in weights.read_layers(path)] == ["oldest"]


def test_numbers_that_damage_makes_a_name_of_are_refused_without_text_of_four_times_their_size(
    tmp_path,
):
    import tracemalloc

    net = caffe_pb2.NetParameter()
    net.layer.add(name="ip").name = "x" * 200000
    content = net.SerializeToString()
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(content)
    assert len(weights.read_layers(path)[0].name) == 200000  # long, but text
    noise = np.random.RandomState(0).bytes(200000)
    path.write_bytes(content[:-200000] + noise)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="a name of 200000 bytes that is no text"):
            weights.read_layers(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(content)
    finally:
        tracemalloc.stop()
