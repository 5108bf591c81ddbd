"""Hosts that answer wrongly, slowly or not at all."""

import hashlib
import os
import time

import pytest
from fcn_helpers import raised
from served_files import CONTENT, entry, files, get, place, ranges, read, whole

from fcn.weights import download
from fcn.weights.download import FetchError


def test_wrong_checksum_then_the_next_address(tmp_path, server):
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    first, second = server.put("/1", ranges(wrong)), server.put("/2", ranges(CONTENT))
    _, said = get(entry((first, second)), tmp_path)
    assert read(tmp_path) == CONTENT
    assert hashlib.sha1(wrong).hexdigest() in said
    assert server.asked == [("/1", None), ("/2", None)]  # nothing of the wrong file is kept


def test_404_then_the_next_address(tmp_path, server):
    _, said = get(entry((server.home + "/gone", server.put("/w", ranges(CONTENT)))), tmp_path)
    assert "HTTP 404" in said and read(tmp_path) == CONTENT


def test_a_web_page_is_no_file(tmp_path, server):
    url = server.put("/w", whole(b"<html>", kind="text/html; charset=utf-8"))
    assert "a web page came" in raised(FetchError, get, entry((url,)), tmp_path)


def test_when_no_address_answers_the_message_says_what_to_do(tmp_path):
    e = entry(("http://127.0.0.1:9/w",))
    text = raised(FetchError, get, e, tmp_path)
    for part in (
        "http://127.0.0.1:9/w: ",
        place(tmp_path),
        str(e.size),
        e.hashes["sha1"],
        "python nets/weights.py w",
    ):
        assert part in text, text
    assert files(tmp_path) == []


def raw(*blocks, pause=0.0):
    """An answer of these bytes as they are, head and all; `pause` seconds between them."""

    def answer(handler, first):
        for block in blocks:
            try:
                handler.wfile.write(block)
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(pause)
        handler.close_connection = True

    return answer


def head(*lines):
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "answer",
    [
        raw(b"this is no HTTP\r\n\r\n"),
        raw(head("Content-Length: " + "9" * 31)),
        raw(head("Content-Length: 10^30")),
        raw(head("Content-Length: \u00b2".encode().decode("latin-1"))),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"),
        raw(head("Transfer-Encoding: chunked") + b"zz\r\n"),
    ],
)
def test_whatever_one_host_answers_the_next_is_tried(answer, tmp_path, server):
    urls = (server.put("/bad", answer), server.put("/good", ranges(CONTENT)))
    lines, said = get(entry(urls), tmp_path)
    assert read(tmp_path) == CONTENT, said


def test_an_address_that_is_none_is_one_error(tmp_path):
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://a b/", "http://[", "nonsense"):
        text = raised(FetchError, get, entry((url,)), tmp_path)
        assert url in text


def test_no_more_is_taken_than_the_file_has(tmp_path, server):
    """A server that sends without end, and says no length or a larger one."""
    block = bytes(1 << 16)
    endless = raw(head(), *[block] * 100)
    text = raised(FetchError, get, entry((server.put("/a", endless),)), tmp_path)
    assert f"more than the {len(CONTENT)} bytes came" in text
    longer = raw(head("Content-Length: 999999999"), *[block] * 100)
    text = raised(FetchError, get, entry((server.put("/b", longer),)), tmp_path)
    assert f"has 999999999 bytes, expected {len(CONTENT)}" in text
    unknown = entry((server.put("/c", raw(head(), *[block] * 200)),), size=None, hashes={})
    assert "were expected" in raised(FetchError, get, unknown, tmp_path)
    assert sum(os.path.getsize(f) for f in tmp_path.rglob("*") if f.is_file()) < 1 << 21


def test_a_trickle_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    slow = raw(head(f"Content-Length: {len(CONTENT)}"), *[b"x"] * 100, pause=0.05)
    urls = (server.put("/slow", slow), server.put("/good", ranges(CONTENT)))
    began = time.monotonic()
    _, said = get(entry(urls), tmp_path)
    assert "too slow: " in said and time.monotonic() - began < 10
    assert read(tmp_path) == CONTENT
