"""HDF5Data: rows that run on across files, shuffling, sharding, and what is refused."""

import h5py
import numpy as np
import pytest
from harness import TEST, TRAIN, Rig

from caffe import rng
from caffe.errors import DataError, LayerError
from caffe.layer import hdf5_data


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Two files in the working directory with 3 and 2 rows: t0 (N, 2), t1 (N), counted up."""
    monkeypatch.chdir(tmp_path)
    for name, first, last in (("a.h5", 0, 3), ("b.h5", 3, 5)):
        with h5py.File(name, "w") as file:
            numbers = np.arange(first, last)
            file["t0"] = np.stack([numbers, numbers + 0.5], 1)  # float64
            file["t1"] = numbers.astype(np.int8)
    (tmp_path / "list.txt").write_text("a.h5\n b.h5 ")
    return tmp_path


def layer(more="", batch=2, tops=2, phase=TRAIN, fields=""):
    source = f'source: "list.txt" batch_size: {batch} {more}'
    return Rig(f'type: "HDF5Data" hdf5_data_param {{ {source} }} {fields}', tops=tops, phase=phase)


def labels(rig, passes):
    found = []
    for _ in range(passes):
        rig.forward()
        found.append(rig.top[1].data.tolist())
    return found


def test_rows_run_on_across_files_and_wrap(rows, device):
    rig = layer()
    assert [b.dims for b in rig.top] == [(2, 2), (2,)]
    assert labels(rig, 5) == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert rig.top[0].data.tolist() == [[3, 3.5], [4, 4.5]]


def test_a_batch_longer_than_everything(rows):
    assert labels(layer(batch=12), 1) == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]]


def test_shuffling_keeps_files_together_and_follows_the_seed(rows):
    rng.set_random_seed(5)
    first = labels(layer("shuffle: true", batch=5), 6)
    rng.set_random_seed(5)
    assert labels(layer("shuffle: true", batch=5), 6) == first
    for epoch in first:
        assert sorted(epoch) == [0, 1, 2, 3, 4]
        assert {tuple(sorted(epoch[:2])), tuple(sorted(epoch[:3]))} & {(3, 4), (0, 1, 2)}
    assert len({tuple(epoch) for epoch in first}) > 1
    (rows / "list.txt").write_text("a.h5")
    epochs = labels(layer("shuffle: true", batch=3), 8)
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize("shuffle", ["", "shuffle: true"])
def test_solvers_share_the_rows_out_in_training(rows, monkeypatch, shuffle):
    monkeypatch.setattr(hdf5_data, "solver_count", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(hdf5_data, "solver_rank", lambda rank=rank: rank)
        rng.set_random_seed(10 + rank)  # solvers have seeds of their own
        shares.append(sum(labels(layer(shuffle, batch=5), 2), []))
    taken = [label for pair in zip(*shares) for label in pair]  # in the order of the rows
    for epoch in range(4):
        assert sorted(taken[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    if not shuffle:
        assert shares[0][:5] == [0, 2, 4, 1, 3] and shares[1][:5] == [1, 3, 0, 2, 4]
        rig = layer(phase=TEST)
        assert labels(rig, 2) == [[0, 1], [2, 3]]  # every solver tests on everything


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Failed to open source file"),
        (" \n", "lists no HDF5 file"),
        ("gone.h5", "Failed opening HDF5 file 'gone.h5'"),
        ("list.txt", "Failed opening HDF5 file 'list.txt'"),
    ],
)
def test_unreadable_lists_and_files(rows, content, message):
    if content is None:
        (rows / "list.txt").unlink()
    else:
        (rows / "list.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        layer()


@pytest.mark.parametrize(
    ("t0", "t1", "message"),
    [
        (np.zeros((3, 2)), None, "Failed to find HDF5 dataset 't1'"),
        (np.zeros((3, 2)), np.zeros(2), "same number of rows"),
        (np.zeros((0, 2)), np.zeros(0), "at least one"),
        (np.float32(1), np.float32(1), "at least one"),
        (np.array([b"x"]), np.zeros(1), "expected numbers"),
    ],
)
def test_bad_datasets(rows, t0, t1, message):
    with h5py.File("a.h5", "w") as file:
        file["t0"] = t0
        if t1 is not None:
            file["t1"] = t1
    with pytest.raises(DataError, match=message):
        layer()


def test_a_later_file_that_fails_leaves_the_layer_usable(rows):
    rig = layer(batch=3)
    rig.forward()
    good = (rows / "b.h5").read_bytes()
    with h5py.File("b.h5", "w") as file:
        file["t0"], file["t1"] = np.zeros((2, 7)), np.zeros(2)
    with pytest.raises(DataError, match=r"rows of shape \(7,\)"):
        rig.forward()
    (rows / "b.h5").write_bytes(good)
    assert labels(rig, 1) == [[3, 4, 0]]


def test_bad_settings(rows):
    with pytest.raises(LayerError, match="batch_size must be positive"):
        layer(batch=0)
    with pytest.raises(LayerError, match="does not transform data"):
        layer(fields="transform_param { scale: 2 }")
