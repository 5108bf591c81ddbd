"""HDF5 weights: BVLC Caffe's own, names with slashes, circles."""

import os
import sys

import numpy as np
import pytest
from weight_files import GOLDEN, as_blob, empty_net

from caffe import weights
from caffe.blob import Blob
from caffe.errors import WeightsError
from caffe.weights import hdf5


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


def test_hdf5_without_a_parameter_that_is_not_shared_is_an_error(values):
    pytest.importorskip("h5py")
    net = empty_net(values)
    net[-1] = ("ip2", [Blob(net[-1][1][0].shape)])
    with pytest.raises(WeightsError, match="layer 'ip2': blob 0 is missing"):
        weights.load(GOLDEN / "snap_iter_3.caffemodel.h5", net)


def test_hdf5_without_h5py_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match="pip install h5py.*BINARYPROTO"):
        weights.read_layers(GOLDEN / "snap_iter_3.caffemodel.h5")
