"""Archives: what is unpacked, what is refused, and how an interrupted run goes on."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from data.preparing import archives
from data.preparing.archives import Archive, ArchiveError, below, fetch, flat, unpack
from data.preparing.report import Report

FILES = {
    "V/images/a.jpg": b"a" * 700,
    "V/images/b.jpg": b"b" * 1500,
    "V/val.txt": b"a\nb\n",
    "other/readme": b"not wanted",
}


def add(tar, name, content=b"", **fields):
    """Add a member as it is told, without tarfile's own care."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


def make_tar(path, files=None, mode="w"):
    with tarfile.open(str(path), mode) as tar:
        add(tar, "V", type=tarfile.DIRTYPE)
        for name, content in (FILES if files is None else files).items():
            add(tar, name, content)
    return str(path)


def make_zip(path, files=None):
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (FILES if files is None else files).items():
            archive.writestr(name, content)
    return str(path)


MAKERS = {
    "x.tar": make_tar,
    "x.tgz": lambda path, files=None: make_tar(path, files, "w:gz"),
    "x.zip": make_zip,
}


def tree(folder):
    """{relative path: content} of the files in a folder, the record left out."""
    found = {}
    for base, _, names in os.walk(str(folder)):
        for name in names:
            path = os.path.join(base, name)
            relative = os.path.relpath(path, str(folder))
            if not name.startswith(".unpacked"):
                with open(path, "rb") as file:
                    found[relative] = file.read()
    return found


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_unpacks_what_is_wanted_once(name, tmp_path):
    archive = MAKERS[name](tmp_path / name)
    want = {path[2:]: content for path, content in FILES.items() if path.startswith("V/")}
    assert unpack(archive, str(tmp_path / "t"), below("V")) == (3, 3)
    assert tree(tmp_path / "t") == want
    # Again: the archive is not even opened.
    with open(archive, "r+b") as file:
        file.write(b"damaged!")
    assert unpack(archive, str(tmp_path / "t"), below("V")) == (3, 0)


def test_goes_on_behind_an_interruption(tmp_path, monkeypatch):
    archive = make_tar(tmp_path / "x.tar")
    write, calls = archives._write, []

    def dies(source, item, path, aside):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(source, item, path, aside)

    monkeypatch.setattr(archives, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, str(tmp_path / "t"), below("V"))
    assert list(tree(tmp_path / "t")) == ["images/a.jpg"]
    monkeypatch.setattr(archives, "_write", write)
    (tmp_path / "t" / ".unpacking").mkdir()  # as a killed run leaves it
    (tmp_path / "t" / ".unpacking" / "file").write_bytes(b"half")
    assert unpack(archive, str(tmp_path / "t"), below("V")) == (3, 2)
    assert len(tree(tmp_path / "t")) == 3


def test_a_lost_or_cut_file_is_unpacked_again(tmp_path):
    archive, target = make_zip(tmp_path / "x.zip"), tmp_path / "t"
    unpack(archive, str(target), below("V"))
    (target / "val.txt").unlink()
    (target / "images" / "a.jpg").write_bytes(b"cut")
    assert unpack(archive, str(target), below("V")) == (3, 2)
    assert (target / "images" / "a.jpg").read_bytes() == FILES["V/images/a.jpg"]


def test_a_damaged_member_is_found_before_anything_is_written(tmp_path):
    archive = make_zip(tmp_path / "x.zip")
    content = (tmp_path / "x.zip").read_bytes()
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("V/images/b.jpg").header_offset
    (tmp_path / "x.zip").write_bytes(content[: start + 46] + b"\xff\xff" + content[start + 48 :])
    with pytest.raises(ArchiveError, match=r"x.zip' is damaged .*'V/images/b.jpg'"):
        unpack(archive, str(tmp_path / "t"), below("V"))
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("name", sorted(MAKERS))
@pytest.mark.parametrize(
    "bad, why",
    [
        ("/etc/passwd", "absolute path"),
        ("../out", "leads out"),
        ("V/../../out", "leads out"),
        ("C:/out", "absolute path"),
        ("V\\..\\..\\out", "leads out"),
        ("V\\out", "backslash"),
        ("V/new\nline", r"'V/new\\nline' has control characters"),
    ],
)
def test_a_name_that_leaves_the_target_spoils_the_archive(name, bad, why, tmp_path):
    archive = MAKERS[name](tmp_path / name, dict(FILES, **{bad: b"evil"}))
    with pytest.raises(ArchiveError, match=r"x\.\w+' is refused: .*" + why):
        unpack(archive, str(tmp_path / "t"), below("V"))
    assert not (tmp_path / "t").exists()  # nothing at all is written


def test_a_name_of_undecodable_bytes(tmp_path):
    path = str(tmp_path / "x.tar")
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, os.fsdecode(b"V/a\xff"), b"1")
    with pytest.raises(ArchiveError, match=r"V/a\\udcff' is not UTF-8"):
        unpack(path, str(tmp_path / "t"), below("V"))


@pytest.mark.parametrize(
    "kind, target, said",
    [
        (tarfile.SYMTYPE, "/etc", "link"),
        (tarfile.SYMTYPE, "images", "link"),
        (tarfile.LNKTYPE, "../../outside", "link"),
        (tarfile.CHRTYPE, "", "device"),
        (tarfile.BLKTYPE, "", "device"),
        (tarfile.FIFOTYPE, "", "device"),
    ],
)
def test_links_and_devices_are_refused(kind, target, said, tmp_path):
    path = str(tmp_path / "x.tar")
    with tarfile.open(path, "w") as tar:
        add(tar, "V/a", b"1")
        add(tar, "V/evil", type=kind, linkname=target)
        add(tar, "V/evil/b", b"2")
    with pytest.raises(ArchiveError, match=f"x.tar' holds 'V/evil', a {said}; only plain files"):
        unpack(path, str(tmp_path / "t"), below("V"))
    assert not (tmp_path / "t").exists()
    # Where it is not wanted it does no harm.
    assert unpack(path, str(tmp_path / "t"), lambda name: name if name == "V/a" else None) == (1, 1)


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = str(tmp_path / "x.zip")
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("V/evil")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(ArchiveError, match="'V/evil', a link"):
        unpack(path, str(tmp_path / "t"), below("V"))


def test_a_link_in_the_target_is_not_followed_out_of_it(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "t" / "images").symlink_to(tmp_path / "outside")
    with pytest.raises(ArchiveError, match="'V/images/a.jpg' would be written to .*outside.* link"):
        unpack(make_tar(tmp_path / "x.tar"), str(tmp_path / "t"), below("V"))
    assert not list((tmp_path / "outside").iterdir())
    # A link in the place of a file is replaced, not written through.
    (tmp_path / "t" / "images").unlink()
    (tmp_path / "outside" / "val").write_bytes(b"mine")
    (tmp_path / "t" / "val.txt").symlink_to(tmp_path / "outside" / "val")
    unpack(make_tar(tmp_path / "x.tar"), str(tmp_path / "t"), below("V"))
    assert (tmp_path / "outside" / "val").read_bytes() == b"mine"
    assert (tmp_path / "t" / "val.txt").read_bytes() == b"a\nb\n"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_cut_archive_is_one_error_and_writes_nothing(name, tmp_path):
    archive = MAKERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for kept in (0, 3, 100, len(content) // 3, len(content) // 2, len(content) - 20):
        if name == "x.tar" and kept > 5500:
            kept = 4700  # behind the last member there are only zeros
        (tmp_path / name).write_bytes(content[:kept])
        with pytest.raises(ArchiveError, match=r"x\.\w+' (is damaged or cut|cannot be opened)"):
            unpack(archive, str(tmp_path / "t"), below("V"))
        assert not (tmp_path / "t").exists()


def test_a_cut_tar_names_the_last_member_read(tmp_path):
    archive = make_tar(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes()[:3000])
    with pytest.raises(ArchiveError, match="cut short at 'V/images/b.jpg'"):
        unpack(archive, str(tmp_path / "t"), below("V"))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    archive = make_tar(tmp_path / "x.tar")
    content = bytearray((tmp_path / "x.tar").read_bytes())
    content[512 + 512 + 1024 + 10] ^= 1  # in the name of b.jpg, whose checksum is then wrong
    (tmp_path / "x.tar").write_bytes(bytes(content))
    with pytest.raises(ArchiveError, match="damaged .* at 'V/images/a.jpg': bad checksum"):
        unpack(archive, str(tmp_path / "t"), below("V"))


def test_a_file_that_is_a_folder_too(tmp_path):
    archive = make_tar(tmp_path / "x.tar", {"V/a": b"1", "V/a/b": b"2"})
    with pytest.raises(ArchiveError, match="holds 'a' as a file and as a folder"):
        unpack(archive, str(tmp_path / "t"), below("V"))


def test_of_two_members_of_one_name_the_last_counts(tmp_path):
    path = str(tmp_path / "x.tar")
    with tarfile.open(path, "w") as tar:
        add(tar, "V/a", b"old")
        add(tar, "V/a", b"newer")
    assert unpack(path, str(tmp_path / "t"), below("V")) == (1, 1)
    assert tree(tmp_path / "t") == {"a": b"newer"}


def test_a_full_disk_is_known_beforehand(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ArchiveError, match="needs 2204 bytes in .* where 1000 are free"):
        unpack(make_tar(tmp_path / "x.tar"), str(tmp_path / "t"), below("V"))
    assert tree(tmp_path / "t") == {}


def test_places():
    assert below("a/b")("x/a/b/c/d") == "c/d"
    assert below("a/b")("x/a/c/b/d") is None
    assert below("a")("a") is None
    assert below("a")("a/._c") is None
    assert flat(".png")("x/y/z.PNG") == "z.PNG"
    assert flat(".png")("z.txt") is None


def test_fetch_tells_what_to_get_and_what_is_wrong(tmp_path):
    archive = Archive("x.tar", "the X dataset", "x.org", "0" * 32)

    def run():
        report = Report()
        return fetch(archive, str(tmp_path / "d"), str(tmp_path / "t"), below("V"), report), report

    done, report = run()
    assert not done and "no such folder" in report.problems[0]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.tar.part").write_bytes(b"half")
    done, report = run()
    assert not done
    assert (
        "no 'x.tar'" in report.problems[0]
        and "get the X dataset from x.org" in (report.problems[0])
    )
    assert "'x.tar.part' is there" in report.problems[0]
    (tmp_path / "d" / "x.tar").write_bytes(b"<!DOCTYPE html><html>not found")
    done, report = run()
    assert "is a web page" in report.problems[0] and "its MD5 is" in report.problems[0]
    make_tar(tmp_path / "d" / "x.tar", {"W/a": b"1"})
    done, report = run()
    assert "none of the files" in report.problems[0]
    make_tar(tmp_path / "d" / "x.tar")
    done, report = run()
    assert done and report.problems == []
    assert "3 files in" in report.done[0] and "3 of them new" in report.done[0]


def test_fetch_leaves_a_linked_target_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "t").symlink_to(tmp_path / "mine")
    report = Report()
    assert fetch(
        Archive("x.tar", "X", "x.org"), str(tmp_path), str(tmp_path / "t"), below("V"), report
    )
    assert "is a link to" in report.notes[0]
    assert not list((tmp_path / "mine").iterdir())


def test_two_runs_do_not_share_a_target(tmp_path):
    from fcn.lock import locked

    archive, target = make_tar(tmp_path / "x.tar"), tmp_path / "t"
    target.mkdir()
    with locked(str(target / ".unpacking.lock"), "held by the test"):
        with pytest.raises(ArchiveError, match="another run unpacks to"):
            unpack(archive, str(target), below("V"))
    assert unpack(archive, str(target), below("V")) == (3, 3)
    assert not [name for name in os.listdir(str(target)) if name.startswith(".unpacking")]


def test_a_zip_is_read_through_before_anything_is_written(tmp_path):
    """Its list of members is whole, and so is every member but the last."""
    files = {f"V/{i}.txt": bytes([65 + i]) * 5000 for i in range(4)}
    archive = make_zip(tmp_path / "x.zip", files)
    with zipfile.ZipFile(archive) as opened:
        last = opened.infolist()[-1]
    with open(archive, "r+b") as file:
        file.seek(last.header_offset + 45)
        file.write(b"\xff\xff\xff")
    with pytest.raises(ArchiveError, match="3.txt"):
        unpack(archive, str(tmp_path / "t"), below("V"))
    assert not (tmp_path / "t").exists()


def test_deep_and_long_names_are_refused(tmp_path):
    for name in ("V/" + "d/" * 3000 + "x", "V/" + "n" * 5000):
        for maker in (make_tar, make_zip):
            archive = maker(tmp_path / "x", {name: b"x"})
            with pytest.raises(ArchiveError, match="longer or deeper") as caught:
                unpack(archive, str(tmp_path / "t"), below("V"))
            assert len(str(caught.value)) < 500 and not (tmp_path / "t").exists()


def test_a_damaged_xz_is_one_error(tmp_path):
    archive = make_tar(tmp_path / "x.tar.xz", mode="w:xz")
    with open(archive, "r+b") as file:
        file.seek(os.path.getsize(archive) // 2)
        file.write(b"\xff" * 8)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, str(tmp_path / "t"), below("V"))


def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path):
    """A name that the archive says is 2 GB long; compressed it takes 2 MB."""
    import tracemalloc

    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 30
    path = str(tmp_path / "x.tar")
    with open(path, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.seek(2 << 30, os.SEEK_CUR)
        file.write(bytes(1024))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="header announces|could not be opened"):
            unpack(path, str(tmp_path / "t"), below("V"))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
