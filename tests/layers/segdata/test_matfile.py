"""The MAT reader: what SciPy writes is read, and no damage ends the process."""

import io
import os
import random

import numpy as np
import pytest
import scipy.io

import bootstrap
from segdata import DataError
from segdata.mat import load_mat, read_from_one, read_sbd_label
from segdata.matfile import MatError, field, value, variables

FCN_DATA = os.environ.get("FCN_DATA", os.path.join(bootstrap.ROOT, os.pardir, "shared", "data"))
FAULTS = os.path.join(FCN_DATA, "faults")


def written(compressed=False, **content):
    file = io.BytesIO()
    scipy.io.savemat(file, content, do_compression=compressed)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "bool"]
)
def test_numbers_of_every_kind(kind, compressed):
    array = (np.arange(12).reshape(3, 4) % 2).astype(kind)
    data = written(compressed, before="text", wanted=array, after=np.zeros((2, 2, 2)))
    found = {v.name: value(v) for v in variables(data)}
    expected = scipy.io.loadmat(io.BytesIO(data))
    for name in ("wanted", "after"):
        assert found[name].dtype == expected[name].dtype
        assert (found[name] == expected[name]).all() and found[name].shape == expected[name].shape
    assert found["before"] == "text"


def test_cells_structs_and_what_is_not_read():
    cells = np.empty((1, 3), object)
    cells[0] = ["wall", "floor", np.arange(3)]
    struct = {"Boundaries": scipy.sparse.csc_matrix(np.eye(3)), "Segmentation": np.eye(4), "n": 1}
    found = {
        v.name: v for v in variables(written(cells=cells, GTcls=struct, empty=np.zeros((0, 3))))
    }
    texts = value(found["cells"])
    assert texts[:2] == ["wall", "floor"] and texts[2].tolist() == [[0, 1, 2]]
    assert (value(field(found["GTcls"], "Segmentation")) == np.eye(4)).all()
    assert value(field(found["GTcls"], "Boundaries")) is None
    assert value(found["empty"]).shape in ((0, 3), (0, 0))  # older SciPy writes 0×0
    for name, words in (("Size", "has no 'Size'"),):
        with pytest.raises(MatError, match=words):
            field(found["GTcls"], name)


def test_the_other_byte_order():
    data = bytearray(written(wanted=np.arange(6, dtype=np.uint16).reshape(2, 3)))
    swapped = bytearray(data[:124]) + data[124:126][::-1] + b"MI"
    words = np.frombuffer(bytes(data[128:]), "<u4").copy()
    # All elements of this file are of 4-byte words but the numbers and the name.
    big = bytearray(words.astype(">u4").tobytes())
    name = bytes(data).index(b"wanted") - 128
    big[name : name + 8] = data[128 + name : 128 + name + 8]
    numbers = len(big) - 16
    big[numbers:] = np.frombuffer(bytes(data[-16:]), "<u2").astype(">u2").tobytes()
    (found,) = variables(bytes(swapped + big))
    assert found.name == "wanted" and value(found).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.slow
def test_random_damage_is_an_error_or_nothing():
    """Flipped bits, cuts and inserted bytes: SciPy ended the process at 34 of 1,500 flips."""
    rng = random.Random(5)
    struct = {"Segmentation": np.eye(9, dtype=np.uint8), "Classes": np.arange(4)}
    seeds = [
        written(c, GTcls=struct, S=np.ones((5, 6)), names=np.array([["a", "bc"]], object))
        for c in (False, True)
    ]
    errors = 0
    for _ in range(4000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice([1, 1, 3])):
            what, at = rng.randrange(3), rng.randrange(100, len(data))
            if what == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                del data[at : at + rng.randrange(1, 9)]
            else:
                data[at:at] = bytes(rng.randrange(256) for _ in range(4))
        try:
            for found in variables(bytes(data)):
                value(found)
                if found.kind == 2:
                    value(field(found, "Segmentation"))
        except MatError:
            errors += 1
    assert errors > 1000


def test_a_bomb_and_deep_nesting_are_refused(monkeypatch):
    from segdata import matfile

    monkeypatch.setattr(matfile, "MOST", 1000)
    with pytest.raises(MatError, match="more than 1000 bytes"):
        list(variables(written(True, S=np.zeros((100, 100)))))
    deep = np.empty((1, 1), object)
    deep[0, 0] = 1
    for _ in range(20):
        outer = np.empty((1, 1), object)
        outer[0, 0] = deep
        deep = outer
    (found,) = variables(written(deep=deep))
    with pytest.raises(MatError, match="nested"):
        value(found)


def test_errors_name_the_file(tmp_path):
    path = str(tmp_path / "x.mat")
    for data, words in (
        (b"", "0 bytes"),
        (b"MATLAB 7.3 MAT-file" + bytes(200), "7.3"),
        (b"x" * 300, "header"),
        (written(T=1), "no 'S'"),
        (written(S="text"), "a matrix of numbers"),
        (written(S=np.eye(3) * 1j), "complex"),
    ):
        with open(path, "wb") as f:
            f.write(data)
        with pytest.raises(DataError, match="x.mat'") as caught:
            load_mat(path, "S")
        assert words in str(caught.value)
    with open(path, "wb") as f:
        f.write(written(GTcls={"Segmentation": np.full((2, 2), 300.0)}))
    with pytest.raises(DataError, match="0 to 255"):
        read_sbd_label(path)


@pytest.mark.data
@pytest.mark.skipif(not os.path.isdir(FAULTS), reason="needs the faulty files")
def test_the_files_that_ended_the_process():
    """The second is damaged beside the label map, which is whole and is read."""
    first, second = (os.path.join(FAULTS, f"damaged{i}.mat") for i in (1, 2))
    for read in (lambda p: read_from_one(p, "S", 33), read_sbd_label):
        with pytest.raises(DataError, match="damaged1.mat"):
            read(first)
    with pytest.raises(DataError, match="damaged2.mat"):
        read_from_one(second, "S", 33)
    assert read_sbd_label(second).ndim == 2
