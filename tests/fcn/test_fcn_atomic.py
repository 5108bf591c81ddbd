"""Writing files whole, and only where nobody else's file can be hit."""

import errno
import os
import stat

import pytest

from fcn.atomic import replacing, write_text


def test_two_runs_with_one_process_number_do_not_share_a_temporary_file(tmp_path):
    path = str(tmp_path / "file")
    with replacing(path) as first, replacing(path) as second:  # two containers: both are PID 1
        assert first != second
        with open(first, "w") as f, open(second, "w") as g:
            f.write("first")
            g.write("second")
    assert (tmp_path / "file").read_text() == "first"
    assert os.listdir(str(tmp_path)) == ["file"]


def test_a_link_that_lies_in_wait_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = str(tmp_path / "file")
    os.symlink(str(victim), f"{path}.tmp-{os.getpid()}")
    write_text(path, "text")
    assert victim.read_text() == "mine"
    assert (tmp_path / "file").read_text() == "text"


def test_the_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(str(tmp_path / "file"), "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(str(tmp_path / "file")).st_mode) == 0o640


def test_a_full_disk_names_the_file(tmp_path):
    path = str(tmp_path / "file")
    with pytest.raises(OSError) as caught:
        with replacing(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == path and caught.value.errno == errno.ENOSPC
    assert os.listdir(str(tmp_path)) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        with replacing(str(tmp_path / "file")):
            open(str(tmp_path / "other"))
    assert caught.value.filename == str(tmp_path / "other")


def test_a_missing_folder_names_the_file(tmp_path):
    path = str(tmp_path / "gone" / "file")
    with pytest.raises(FileNotFoundError) as caught:
        write_text(path, "text")
    assert caught.value.filename == path
