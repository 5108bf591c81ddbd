"""Weights and solver state files: BVLC Caffe's own, old formats, and damaged ones.

The files in golden/ named snap_* were written by BVLC Caffe (golden/weights.py).
"""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from caffe import weights
from caffe.blob import Blob
from caffe.errors import WeightsError
from caffe.proto import caffe_pb2
from caffe.weights import caffemodel, hdf5, solver_state, wire
from caffe.weights.stored_blob import StoredBlob

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def values():
    with np.load(GOLDEN / "weights.npz") as file:
        assert str(file["engine"]).startswith("BVLC Caffe")
        return {name: file[name] for name in file.files if name != "engine"}


def as_blob(data, diff=None):
    blob = Blob(np.shape(data))
    blob.data[...] = data
    if diff is not None:
        blob.diff[...] = diff
    return blob


# BVLC Caffe's files -----------------------------------------------------------------------------


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


def test_solverstate_of_bvlc_is_read_and_written_byte_for_byte(tmp_path):
    state = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate")
    assert (state.iter, state.learned_net, state.current_step) == (3, "snap_iter_3.caffemodel", 1)
    assert len(state.history) == 2 * 6
    assert state.history[0].shape == (2, 3, 3, 3)
    history = [stored.array() for stored in state.history]
    assert np.any(history[0]) and np.any(history[6])
    solver_state.write_binary(tmp_path / "s", 3, state.learned_net, history, 1)
    written = (tmp_path / "s").read_bytes()
    assert written == (GOLDEN / "snap_iter_3.solverstate").read_bytes()


def test_hdf5_solverstate_of_bvlc_holds_what_the_binary_one_does(tmp_path):
    pytest.importorskip("h5py")
    binary = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate")
    state = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate.h5")
    assert (state.iter, state.learned_net, state.current_step) == (
        3, "snap_iter_3.caffemodel.h5", 1,
    )  # fmt: skip
    history = [stored.array() for stored in state.history]
    for a, b in zip(history, binary.history, strict=True):
        np.testing.assert_array_equal(a, b.array())
    solver_state.write_hdf5(str(tmp_path / "s.h5"), 3, "there", history, 1)
    again = solver_state.read_solver_state(tmp_path / "s.h5")
    assert (again.iter, again.learned_net, again.current_step) == (3, "there", 1)
    np.testing.assert_array_equal(again.history[11].array(), history[11])


def empty_net(values):
    """Blobs of the golden net's shapes, all zero, ip2 sharing with ip1."""
    layers = {}
    for key in values:
        if key.endswith("diff"):
            continue
        name = key.split(".")[0]
        layers.setdefault(name, []).append(Blob(values[key].shape))
    layers["ip2"][0].share_data(layers["ip1"][0])
    return [("data", []), *layers.items()]


def test_hdf5_weights_of_bvlc_are_read(values):
    pytest.importorskip("h5py")
    net = empty_net(values)
    weights.load(GOLDEN / "snap_iter_3.caffemodel.h5", net)
    for name, blobs in net:
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(blob.data, values[f"{name}.{i}"])
            assert not np.any(blob.diff)  # stored, but BVLC does not read it back either


def test_hdf5_weights_are_written_in_the_form_of_bvlc(tmp_path, values):
    h5py = pytest.importorskip("h5py")
    net = empty_net(values)
    golden = str(GOLDEN / "snap_iter_3.caffemodel.h5")
    weights.load(golden, net)
    for name, blobs in net:
        for i, blob in enumerate(blobs):
            blob.diff[...] = values[f"{name}.{i}.diff"]
    hdf5.write_net(str(tmp_path / "w.h5"), net, write_diff=True)

    def listing(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: found.update(
                    {name: (item.dtype, item[()].tobytes()) if hasattr(item, "dtype") else None}
                )
            )
        return found

    expected = listing(golden)
    for group in ("data", "diff"):  # Split layers have empty groups, which this net lacks
        for layer in [
            key for key in expected if "split" in key or key.endswith(("loss1", "loss2"))
        ]:
            assert expected.pop(layer) is None
        assert group in expected
    assert listing(tmp_path / "w.h5") == expected


def test_hdf5_holds_layer_names_with_slashes(tmp_path):
    """As GoogLeNet's: a group in a group, also beside blobs of the outer name's own layer."""
    net = [
        ("a", [as_blob([1.0]), as_blob([2.0, 3.0])]),
        ("a/1x1", [as_blob([4.0])]),
        ("b/c/d", [as_blob([5.0])]),
        ("b/relu", []),
    ]
    path = str(tmp_path / "w.h5")
    hdf5.write_net(path, net)
    found = {layer.name: len(layer.blobs) for layer in hdf5.read_layers(path)}
    assert found == {"a": 2, "a/1x1": 1, "b/c/d": 1, "b/relu": 0}
    empty = [(name, [Blob(blob.shape) for blob in blobs]) for name, blobs in net]
    assert list(weights.load(path, empty)) == []
    for (_, blobs), (_, expected) in zip(empty, net):
        assert [b.data.tolist() for b in blobs] == [b.data.tolist() for b in expected]


@pytest.mark.parametrize("name", ["conv/1", "/conv", "conv/", "a//b", "a/./b", ""])
def test_hdf5_refuses_names_that_groups_cannot_have(tmp_path, name):
    net = [(name, [as_blob([1.0])])]
    with pytest.raises(WeightsError, match=f"layer '{name}': HDF5 cannot hold.*binary"):
        hdf5.write_net(str(tmp_path / "w.h5"), net)
    assert os.listdir(tmp_path) == []


def test_hdf5_groups_in_a_circle_are_an_error(tmp_path):
    path = str(tmp_path / "w.h5")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        group = file.create_group("data/a")
        group["again"] = file["data"]
    with pytest.raises(WeightsError, match="groups within each other"):
        hdf5.read_layers(path)


def test_load_copies_by_name_and_returns_the_names_the_net_lacks(values):
    net = empty_net(values)
    del net[1]  # conv
    ignored = weights.load(GOLDEN / "snap_with_diff.caffemodel", [*net, ("new", [Blob((2,))])])
    assert {"conv", "loss1"} < set(ignored) and not {"norm", "ip1"} & set(ignored)
    for name, blobs in net:
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(blob.data, values[f"{name}.{i}"])
            np.testing.assert_array_equal(blob.diff, values[f"{name}.{i}.diff"])


def test_load_copies_into_the_first_of_two_layers_of_one_name(values):
    first, second = Blob((2, 3, 3, 3)), Blob((2, 3, 3, 3))
    weights.load(GOLDEN / "snap_iter_3.caffemodel", [("conv", [first]), ("conv", [second])])
    np.testing.assert_array_equal(first.data, values["conv.0"])
    assert not np.any(second.data)


def test_load_of_a_different_number_of_blobs_is_an_error():
    with pytest.raises(WeightsError, match="number of blobs for layer 'ip1'.*has 2, the net 1"):
        weights.load(GOLDEN / "snap_iter_3.caffemodel", [("ip1", [Blob((4, 18))])])


def test_hdf5_without_a_parameter_that_is_not_shared_is_an_error(values):
    pytest.importorskip("h5py")
    net = empty_net(values)
    net[-1] = ("ip2", [Blob(net[-1][1][0].shape)])
    with pytest.raises(WeightsError, match="layer 'ip2': blob 0 is missing"):
        weights.load(GOLDEN / "snap_iter_3.caffemodel.h5", net)


@pytest.mark.parametrize("name", ["snap_iter_3.caffemodel", "snap_iter_3.caffemodel.h5"])
def test_load_of_what_does_not_fit_copies_nothing(values, name):
    if name.endswith("h5"):
        pytest.importorskip("h5py")
    net = empty_net(values)
    net[-2][1][1] = Blob((1, 4))
    with pytest.raises(
        WeightsError, match=r"Cannot copy param 1 .*'ip1'.*has 4 \(4\), the net 1 4"
    ):
        weights.load(GOLDEN / name, net)
    assert not any(np.any(blob.data) for _, blobs in net for blob in blobs)


# The rule of shapes -----------------------------------------------------------------------------


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


# Old formats ------------------------------------------------------------------------------------


def write(tmp_path, net):
    path = tmp_path / "w.caffemodel"
    path.write_bytes(net if isinstance(net, bytes) else net.SerializeToString())
    return path


def legacy_blob(blob, array):
    array = np.asarray(array, np.float32)
    dims = (1,) * (4 - array.ndim) + array.shape
    blob.num, blob.channels, blob.height, blob.width = dims
    blob.data.extend(array.ravel().tolist())


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


def net_with(blob: bytes) -> bytes:
    layer = b"\x0a\x01a" + b"\x3a" + wire.varint(len(blob)) + blob
    return b"\xa2\x06" + wire.varint(len(layer)) + layer


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


def nvidia_blob(kind, numbers, shape):
    """A BlobProto of NVIDIA Caffe: fields 10 to 13, the numbers as bytes of one type."""
    dims = b"".join(wire.varint(d) for d in shape)
    packed = b"\x0a" + wire.varint(len(dims)) + dims
    raw = np.asarray(numbers, kind).tobytes()
    code = wire.varint({"<f8": 0, "<f4": 1, "<f2": 2, "<i4": 3}[kind])
    data = b"\x3a" + wire.varint(len(packed)) + packed + b"\x50" + code + b"\x58" + code
    return data + b"".join(tag + wire.varint(len(raw)) + raw for tag in (b"\x62", b"\x6a"))


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


@pytest.mark.parametrize("read", [weights.read_layers, solver_state.read_solver_state])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "pointer of Git LFS"),
        (b"\n <!DOCTYPE html>", "is a web page"),
        (b"<html><head>", "is a web page"),
        (b"\x1f\x8b\x08\0", "is compressed"),
        (b"PK\x03\x04\x14\0", "is a zip archive"),
        (b'name: "VGG"\nlayer {}', "is text: a prototxt"),
    ],
)
def test_what_the_file_is_instead(tmp_path, read, content, message):
    with pytest.raises(WeightsError, match=f"w.caffemodel.* {message}"):
        read(write(tmp_path, content))


def test_a_solverstate_in_the_place_of_weights():
    with pytest.raises(WeightsError, match="is a solverstate.*same name with .caffemodel"):
        weights.read_layers(GOLDEN / "snap_iter_3.solverstate")


# Damage -----------------------------------------------------------------------------------------


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


def test_a_cut_solverstate_is_an_error(tmp_path):
    whole = (GOLDEN / "snap_iter_3.solverstate").read_bytes()
    with pytest.raises(WeightsError, match="history blob 0.*solverstate"):
        solver_state.read_solver_state(write(tmp_path, whole[:100]))


@pytest.mark.parametrize("name", ["snap \u00e9.caffemodel", "latin-1 \udce9.caffemodel"])
@pytest.mark.parametrize("save", [solver_state.write_binary, solver_state.write_hdf5])
def test_a_solverstate_names_any_path(save, name, tmp_path):
    """The second is what Python makes of a file name that is not valid UTF-8."""
    path = os.fspath(tmp_path / "state")
    save(path, 3, name, [np.zeros(2, np.float32)], 1)
    assert solver_state.read_solver_state(path).learned_net == name


def test_an_array_of_the_wrong_size_is_refused(tmp_path):
    (layer,) = weights.read_layers(write(tmp_path, net_with(b"\x3a\x03\x0a\x01\x01\x2a\x04abcd")))
    with pytest.raises(WeightsError, match="array of 2"):
        layer.blobs[0].copy_to(np.empty(2, np.float32))


@pytest.mark.slow
def test_a_large_blob_is_copied_in_pieces(tmp_path):
    numbers = np.random.RandomState(0).randn(20_000_000).astype(np.float32)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="big")])
    read = staticmethod(lambda: numbers)
    blob = type("Big", (), {"shape": numbers.shape, "data_numbers": read})
    weights.write_net(tmp_path / "big", net, [[blob]])
    (layer,) = weights.read_layers(tmp_path / "big")
    np.testing.assert_array_equal(layer.blobs[0].array(), numbers)


# Writing whole or not at all --------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), weights.atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["w"]


def test_a_directory_that_cannot_be_synchronised_is_no_failure(tmp_path, monkeypatch):
    """The new file is in its place by then; some file systems refuse this step."""

    def refuse(descriptor, fsync=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    weights.write_net(tmp_path / "new", caffe_pb2.NetParameter(name="n"), [])
    assert [p.name for p in tmp_path.iterdir()] == ["new"]


def test_a_write_replaces_the_file_through_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with weights.atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["no/such/folder/w", "."])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    with pytest.raises(WeightsError, match="cannot write"), weights.atomic_write(tmp_path / name):
        pass


def test_a_device_is_written_not_replaced():
    with weights.atomic_write(os.devnull) as file:
        file.write(b"gone")
    assert not os.path.isfile(os.devnull)


def test_hdf5_without_h5py_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match="pip install h5py.*BINARYPROTO"):
        weights.read_layers(GOLDEN / "snap_iter_3.caffemodel.h5")


def test_layers_of_two_generations_in_one_file_are_refused(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="new")
    net.layers.add(name="old")
    path = tmp_path / "mixed.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(WeightsError, match="both layers of today .* and of before 2015"):
        weights.read_layers(path)


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
