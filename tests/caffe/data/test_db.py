"""LMDB and LevelDB under one interface: order, wrapping, sharing, errors, what is half written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from caffe.data import db
from caffe.errors import DataError

BOTH = pytest.mark.parametrize("backend", ["lmdb", "leveldb"])


def make(path, backend, keys=(b"b", b"a", b"c")):
    with db.create(path, backend) as writer:
        for key in keys:
            writer.put(key, b"value of " + key)
    return str(path)


@BOTH
def test_records_come_in_key_order_and_begin_anew(tmp_path, backend):
    cursor = db.open(make(tmp_path / "d", backend), backend).cursor()
    keys, wrapped = [], []
    for _ in range(7):
        key, value = cursor.item()
        assert value == b"value of " + key
        keys.append(key)
        wrapped.append(cursor.advance())
    assert keys == [b"a", b"b", b"c"] * 2 + [b"a"]
    assert wrapped == [False, False, True] * 2 + [False]


@BOTH
def test_seek(tmp_path, backend):
    cursor = db.open(make(tmp_path / "d", backend), backend).cursor()
    assert cursor.seek(b"b")
    assert cursor.item()[0] == b"b"
    assert cursor.seek(b"bb")
    assert cursor.item()[0] == b"c"
    assert not cursor.next()
    assert not cursor.seek(b"d")
    assert cursor.first()
    assert cursor.item()[0] == b"a"


@BOTH
def test_one_database_can_be_used_twice(tmp_path, backend):
    path = make(tmp_path / "d", backend)
    first, second = (db.open(name, backend).cursor() for name in (path, path + "/."))
    first.advance()
    assert (first.item()[0], second.item()[0]) == (b"b", b"a")


@BOTH
def test_the_last_value_of_a_key_wins(tmp_path, backend):
    with db.create(tmp_path / "d", backend) as writer:
        writer.put(b"k", b"1")
        writer.commit()
        writer.put(b"k", b"2")
    assert db.open(tmp_path / "d", backend).cursor().item() == (b"k", b"2")


def test_an_lmdb_grows(tmp_path, monkeypatch):
    monkeypatch.setattr("caffe.data.db_lmdb._FIRST_SIZE", 1 << 16)
    with db.create(tmp_path / "d", "lmdb") as writer:
        for n in range(100):
            writer.put(b"%03d" % n, bytes(10_000))
    cursor = db.open(tmp_path / "d", "lmdb").cursor()
    count = 1
    while cursor.next():
        count += 1
    assert count == 100


@BOTH
def test_a_failure_leaves_nothing_behind(tmp_path, backend):
    def fail():
        with db.create(tmp_path / "d", backend) as writer:
            writer.put(b"a", b"1")
            writer.commit()
            assert not (tmp_path / "d").exists()
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    assert os.listdir(tmp_path) == []


@BOTH
def test_an_existing_name_is_refused(tmp_path, backend):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(DataError, match="it exists already"):
        make(tmp_path / "d", backend)
    assert (tmp_path / "d").read_text() == "mine"
    with pytest.raises(DataError, match="No such file"):
        make(tmp_path / "no" / "d", backend)


@BOTH
def test_missing_empty_and_foreign_databases(tmp_path, backend):
    other = {"lmdb": "leveldb", "leveldb": "lmdb"}[backend]
    with pytest.raises(DataError, match=f"cannot open the {backend} .*gone.*No such file"):
        db.open(tmp_path / "gone", backend)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="has no"):
        db.open(tmp_path / "folder", backend)
    pytest.importorskip("plyvel", reason="needs the extra: pip install 'pycaffe-torch[leveldb]'")
    path = make(tmp_path / "d", other)
    with pytest.raises(DataError, match="looks like"):
        db.open(path, backend)
    with pytest.raises(DataError, match=f"{other} .*/e has no records"):
        db.open(make(tmp_path / "e", other, ()), other).cursor()


def test_a_damaged_lmdb(tmp_path):
    path = make(tmp_path / "d", "lmdb")
    (tmp_path / "d" / "data.mdb").write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match=f"cannot open the lmdb '{path}'"):
        db.open(path, "lmdb")


def test_a_locked_leveldb(tmp_path):
    pytest.importorskip("plyvel", reason="needs the extra: pip install 'pycaffe-torch[leveldb]'")
    path = make(tmp_path / "d", "leveldb")
    hold = f"import plyvel, sys; d = plyvel.DB({path!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(DataError, match="Only one process at a time"):
            db.open(path, "leveldb")
        other.communicate(b"\n")
    assert db.open(path, "leveldb").cursor().item()[0] == b"a"


def test_a_key_that_lmdb_refuses(tmp_path):
    with pytest.raises(DataError, match="expected 1 to 511 bytes, got 600"):
        make(tmp_path / "d", "lmdb", [b"a", b"k" * 600])
    assert os.listdir(tmp_path) == []


def test_leveldb_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plyvel", None)
    monkeypatch.delitem(sys.modules, "caffe.data.db_leveldb", raising=False)
    with pytest.raises(DataError, match="pip install plyvel"):
        db.open(tmp_path, "leveldb")


def test_unknown_backends(tmp_path):
    with pytest.raises(DataError, match="Unknown database backend 'ldmb'.*Did you mean 'lmdb'"):
        db.open(tmp_path, "ldmb")


def test_an_lmdb_is_read_but_not_written_without_its_package(tmp_path, monkeypatch):
    path = make(tmp_path / "d", "lmdb")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    monkeypatch.delitem(sys.modules, "caffe.data.db_lmdb", raising=False)
    assert db.open(path, "lmdb").cursor().item()[0] == b"a"
    with pytest.raises(DataError, match="pip install lmdb"):
        make(tmp_path / "e", "lmdb")


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_an_lmdb_that_is_open_elsewhere_in_the_process(tmp_path, first):
    """The package refuses that; BVLC's program allows it."""
    path = make(tmp_path / "d", "lmdb")
    if first == "theirs":
        env = lmdb.open(path)
        ours = db.open(path, "lmdb").cursor()
    else:
        ours = db.open(path, "lmdb").cursor()
        env = lmdb.open(path)
    with env.begin(write=True) as transaction:
        transaction.put(b"0", b"new")
    assert ours.item()[0] == b"a"  # as it was when the cursor was made
    assert db.open(path, "lmdb").cursor().item() == (b"0", b"new")
    env.close()
    assert ours.next() and ours.item()[0] == b"b"


def test_a_database_made_anew_under_its_name_is_the_new_one(tmp_path):
    path = make(tmp_path / "d", "lmdb", [b"old"])
    kept = db.open(path, "lmdb").cursor()
    shutil.rmtree(path)
    make(tmp_path / "d", "lmdb", [b"new"])
    assert db.open(path, "lmdb").cursor().item()[0] == b"new" and kept.item()[0] == b"old"


def test_a_damaged_leveldb_is_an_error_not_a_shorter_one(tmp_path):
    pytest.importorskip("plyvel")
    keys = [b"%05d" % k for k in range(2000)]
    path = make(tmp_path / "d", "leveldb", keys)
    plyvel = sys.modules["plyvel"]
    plyvel.DB(path).compact_range()
    table = max(Path(path).glob("*.ldb"), key=lambda file: file.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 0xFF
    table.write_bytes(data)
    with pytest.raises(DataError, match="leveldb"):
        cursor = db.open(path, "leveldb").cursor()
        while cursor.next():
            cursor.item()


def test_an_lmdb_with_the_backend_left_out_names_the_field(tmp_path, monkeypatch):
    """It asked for the package plyvel."""
    path = make(tmp_path / "d", "lmdb")
    monkeypatch.setitem(sys.modules, "plyvel", None)
    monkeypatch.delitem(sys.modules, "caffe.data.db_leveldb", raising=False)
    with pytest.raises(DataError, match="looks like an lmdb. Write backend: LMDB"):
        db.open(path, "leveldb")
