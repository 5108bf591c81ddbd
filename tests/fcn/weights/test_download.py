"""Published weights: downloads that break, servers without ranges, wrong files, full disks."""

import errno
import os

import pytest
from fcn_helpers import raised
from served_files import CONTENT, entry, files, get, place, put, ranges, read, whole

from fcn.weights import download
from fcn.weights.download import FetchError


@pytest.mark.parametrize(
    "answer",
    [ranges(CONTENT), whole(CONTENT), whole(CONTENT, length=False)],
    ids=["ranges", "no ranges", "no length"],
)
def test_download_and_then_only_check(tmp_path, server, answer):
    e = entry((server.put("/w", answer),))
    lines, _ = get(e, tmp_path)
    assert e.hashes["sha1"] in lines[0] and read(tmp_path) == CONTENT
    assert files(tmp_path) == ["w.caffemodel"]
    lines, _ = get(e, tmp_path)
    assert "is there and right" in lines[0] and len(server.asked) == 1


def test_a_transfer_that_breaks_off_goes_on(tmp_path, server):
    half = len(CONTENT) // 2
    url = server.put("/w", None)

    def answer(handler, first):
        ranges(CONTENT, stop=half if first is None else None)(handler, first)

    server.answers["/w"] = answer
    _, said = get(entry((url,)), tmp_path)
    assert read(tmp_path) == CONTENT
    assert server.asked == [("/w", None), ("/w", f"bytes={half}-")]
    assert "broke off at" in said


def test_one_that_always_breaks_off_at_once_ends(tmp_path, server):
    url = server.put("/w", ranges(CONTENT, stop=0))
    text = raised(FetchError, get, entry((url,)), tmp_path)
    assert "broke off at 0 of" in text and len(server.asked) == 3


def test_an_interrupted_run_is_gone_on_with(tmp_path, server):
    put(tmp_path, CONTENT[:1000], "w.caffemodel.part")
    get(entry((server.put("/w", ranges(CONTENT)),)), tmp_path)
    assert server.asked == [("/w", "bytes=1000-")]
    assert read(tmp_path) == CONTENT and files(tmp_path) == ["w.caffemodel"]


def test_without_ranges_an_interrupted_run_starts_anew(tmp_path, server):
    put(tmp_path, b"x" * 1000, "w.caffemodel.part")
    get(entry((server.put("/w", whole(CONTENT)),)), tmp_path)
    assert read(tmp_path) == CONTENT and len(server.asked) == 1


def test_a_part_that_is_already_whole(tmp_path, server):
    put(tmp_path, CONTENT, "w.caffemodel.part")
    get(entry((server.put("/w", ranges(CONTENT)),)), tmp_path)
    assert read(tmp_path) == CONTENT and len(server.asked) == 1


def test_a_part_longer_than_the_file_starts_anew(tmp_path, server):
    put(tmp_path, CONTENT + b"x", "w.caffemodel.part")
    get(entry((server.put("/w", ranges(CONTENT)),)), tmp_path)
    assert read(tmp_path) == CONTENT and len(server.asked) == 2


def test_a_wrong_part_is_found_out_and_fetched_once_more(tmp_path, server):
    put(tmp_path, b"x" * 1000, "w.caffemodel.part")
    _, said = get(entry((server.put("/w", ranges(CONTENT)),)), tmp_path)
    assert read(tmp_path) == CONTENT and "once more from the start" in said
    assert server.asked == [("/w", "bytes=1000-"), ("/w", None)]


def test_another_range_than_asked_for(tmp_path, server):
    put(tmp_path, CONTENT[:1000], "w.caffemodel.part")
    url = server.put("/w", ranges(CONTENT, shift=5))
    text = raised(FetchError, get, entry((url,)), tmp_path)
    assert "another range" in text


def test_without_checksum_only_the_same_address_goes_on(tmp_path, server):
    e = entry(size=None, hashes={})
    put(tmp_path, b"x" * 1000, "w.caffemodel.part")
    lines, _ = get(e._replace(urls=(server.put("/w", ranges(CONTENT)),)), tmp_path)
    assert server.asked == [("/w", None)]
    assert "no checksum of it was ever published" in lines[0]


def test_a_full_disk(tmp_path, server, monkeypatch):
    url = server.put("/w", ranges(CONTENT))

    def full(file, block):
        file.write(block[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    text = raised(FetchError, get, entry((url, server.home + "/other")), tmp_path)
    assert "the disk is full at 0 bytes" in text and "continues from there" in text
    assert [path for path, _ in server.asked] == ["/w"]  # another address would not help
    monkeypatch.undo()
    get(entry((url,)), tmp_path)
    assert server.asked[-1] == ("/w", "bytes=100-") and read(tmp_path) == CONTENT


def test_no_room_is_known_before(tmp_path, server, monkeypatch):
    usage = download.shutil.disk_usage(str(tmp_path))
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=10))
    url = server.put("/w", ranges(CONTENT))
    text = raised(FetchError, get, entry((url,)), tmp_path)
    assert f"{len(CONTENT)} more bytes are needed" in text


def test_two_runs_at_once(tmp_path, server):
    e = entry((server.put("/w", ranges(CONTENT)),))
    os.makedirs(os.path.dirname(place(tmp_path)))
    with download.locked(place(tmp_path) + ".lock", "busy"):
        assert "another run" in raised(download.Busy, get, e, tmp_path)
    get(e, tmp_path)


def test_a_file_of_the_users_is_verified_and_never_changed(tmp_path):
    put(tmp_path, CONTENT)
    assert "right" in get(entry(), tmp_path)[0][0]
    for content, said in (
        (CONTENT[:-1], "bytes, the published file"),
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "SHA-1 is"),
    ):
        put(tmp_path, content)
        text = raised(FetchError, get, entry(), tmp_path)
        assert said in text and "move that file away" in text, text
        assert read(tmp_path) == content
