"""Weights files are whole or absent."""

import os
import stat

import pytest

from caffe import weights
from caffe.errors import WeightsError
from caffe.proto import caffe_pb2


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
