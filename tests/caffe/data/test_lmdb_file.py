"""The reader of LMDB files, held against the library that writes them."""

import os
import random
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from caffe.data.lmdb_file import Cursor, LmdbFile, LmdbFileError


def records(path):
    """All records, by our reader."""
    cursor, found = Cursor(LmdbFile(path)), []
    more = cursor.first()
    while more:
        found.append(cursor.item())
        more = cursor.next()
    assert cursor.item() == (b"", b"")
    return found


def fill(folder, seed, count, longest=6000):
    """A database in a random history of puts and deletes, as (file, its records in order)."""
    draw = random.Random(seed)
    expected = {}
    with lmdb.open(str(folder), map_size=1 << 28) as env:
        while len(expected) < count:
            with env.begin(write=True) as transaction:
                for _ in range(draw.randint(1, 200)):
                    key = draw.randbytes(draw.choice([1, 2, 8, 60, 511]))
                    value = draw.randbytes(draw.choice([0, 1, 30, 500, 2000, longest]))
                    transaction.put(key, value)
                    expected[key] = value
                for key in draw.sample(sorted(expected), min(len(expected) // 10, 30)):
                    transaction.delete(key)
                    del expected[key]
    return str(Path(folder) / "data.mdb"), sorted(expected.items())


@pytest.mark.parametrize("count", [1, 2, 100, 3000])
def test_every_record_in_the_order_of_the_keys(tmp_path, count):
    path, expected = fill(tmp_path, count, count)
    assert records(path) == expected
    cursor = Cursor(LmdbFile(path))
    draw = random.Random(0)
    keys = [key for key, _ in expected]
    for key in [
        *draw.sample(keys, min(50, count)),
        b"",
        b"\xff" * 511,
        *(k + b"\0" for k in keys[:9]),
    ]:
        later = [item for item in expected if item[0] >= key]
        assert cursor.seek(key) == bool(later)
        assert not later or cursor.item() == later[0]


def test_an_empty_database(tmp_path):
    lmdb.open(str(tmp_path)).close()
    assert records(str(tmp_path / "data.mdb")) == []


@pytest.mark.parametrize("part", [k / 9 for k in range(9)])
def test_a_file_that_was_cut_short_is_one_clear_error(tmp_path, part):
    """The library's memory map ends the process there (SIGBUS)."""
    path, _ = fill(tmp_path, 1, 400)
    with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * part))
    with pytest.raises(LmdbFileError, match="it was cut short"):
        LmdbFile(path)


def test_free_pages_at_the_end_may_be_missing(tmp_path):
    with lmdb.open(str(tmp_path), map_size=1 << 24) as env:
        with env.begin(write=True) as transaction:
            for number in range(50):
                transaction.put(b"%02d" % number, bytes(3000))
        for keep in (False, True):  # the second commit lets the pages of the first go
            with env.begin(write=True) as transaction:
                for number in range(25, 50):
                    transaction.delete(b"%02d" % number)
                transaction.put(b"00", b"small" if keep else b"x")
    path = str(tmp_path / "data.mdb")
    whole = records(path)
    size = os.path.getsize(path)
    cut = size
    while cut > 8192:  # as far as no record is lost
        with open(path, "r+b") as file:
            file.truncate(cut - 4096)
        cut -= 4096
        try:
            assert records(path) == whole
        except LmdbFileError:
            break
    assert cut < size - 4096  # some pages were free


@pytest.mark.slow
def test_damage_ends_in_one_error_or_other_bytes_never_worse(tmp_path):
    path, expected = fill(tmp_path, 2, 150)
    whole = Path(path).read_bytes()
    draw = random.Random(3)
    outcomes = {"refused": 0, "read": 0}
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 8, 200])):
            page = draw.randrange(len(data) // 4096)
            place = page * 4096 + draw.choice([draw.randrange(32), draw.randrange(4096)])
            data[place] = draw.randrange(256)
        Path(path).write_bytes(data)
        try:
            assert len(records(path)) <= len(expected)
            outcomes["read"] += 1
        except LmdbFileError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


WRITER = """
import lmdb, random, sys
draw = random.Random(5)
with lmdb.open(sys.argv[1], map_size=1 << 28, sync=False) as env:
    print("open", flush=True)
    for version in range(400):
        with env.begin(write=True) as transaction:
            for _ in range(20):
                number = draw.randrange(300)
                transaction.put(b"%04d" % number, b"%04d" % number * draw.randint(1, 1500))
"""


def test_no_record_is_mixed_while_another_process_writes(tmp_path):
    with lmdb.open(str(tmp_path), map_size=1 << 28) as env, env.begin(write=True) as transaction:
        for number in range(300):
            transaction.put(b"%04d" % number, b"%04d" % number * 500)
    path = str(tmp_path / "data.mdb")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        rounds = 0
        while writer.poll() is None or rounds < 3:
            found = records(path)
            assert [key for key, _ in found] == [b"%04d" % number for number in range(300)]
            assert all(value == key * (len(value) // 4) for key, value in found)
            rounds += 1
    assert writer.returncode == 0
