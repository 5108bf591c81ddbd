"""Files that appear whole or not at all: the names of the temporary ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe.atomic import atomic_write
from caffe.data import db
from caffe.errors import SolverError
from caffe.solver.snapshot import check_writable

SRC = Path(__file__).resolve().parents[2] / "src"

SAVER = """
import os, sys
os.getpid = lambda: 1  # as in a container
from caffe.atomic import atomic_write
for _ in range(15):
    with atomic_write("shared") as file:
        for _ in range(40):
            file.write(sys.argv[1].encode() * 1000)
            file.flush()
"""


@pytest.mark.slow
def test_two_processes_of_one_number_save_to_one_file_and_never_mix(tmp_path):
    env = dict(os.environ, PYTHONPATH=str(SRC))
    savers = [
        subprocess.Popen([sys.executable, "-c", SAVER, letter], cwd=tmp_path, env=env)
        for letter in "ab"
    ]
    seen = set()
    while any(saver.poll() is None for saver in savers):
        if (tmp_path / "shared").exists():
            content = (tmp_path / "shared").read_bytes()
            assert len(content) == 40000 and len(set(content)) == 1
            seen.add(content[:1])
    assert [saver.wait() for saver in savers] == [0, 0] and seen
    assert os.listdir(tmp_path) == ["shared"]


def test_a_link_in_the_way_is_not_followed(tmp_path, monkeypatch):
    """Somebody who guesses the name makes it a link to a file of ours."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    tokens = iter(["guessed", "other"])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(tokens))
    (tmp_path / "w.tmp-guessed").symlink_to(victim)
    with atomic_write(tmp_path / "w") as file:
        file.write(b"new")
    assert victim.read_text() == "mine" and (tmp_path / "w").read_bytes() == b"new"


def test_permissions_are_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "w") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o640


def test_the_probe_of_a_snapshot_leaves_the_users_file(tmp_path):
    mine = tmp_path / "p_iter_0.tempfile"
    mine.write_text("mine")
    check_writable(str(tmp_path / "p"))
    assert os.listdir(tmp_path) == ["p_iter_0.tempfile"] and mine.read_text() == "mine"
    with pytest.raises(SolverError, match="Cannot write to snapshot prefix"):
        check_writable(str(tmp_path / "gone" / "p"))


def test_databases_take_no_name_that_can_be_guessed(tmp_path):
    names = []
    for number in range(2):
        with db.create(tmp_path / f"d{number}", "lmdb") as writer:
            writer.put(b"k", b"v")
            names.append(Path(writer.folder).name.partition(".tmp-")[2])
    assert len(set(names)) == 2 and all(len(name) >= 12 for name in names)
