"""Published weights: downloads that break, servers without ranges, wrong files, full disks."""

import errno
import hashlib
import http.server
import io
import os
import threading
import time

import pytest
from fcn_helpers import ROOT, raised

from caffe.proto import caffe_pb2
from fcn.weights import download
from fcn.weights.download import FetchError
from fcn.weights.table import WEIGHTS, Weights, by_file, host_remark, row
from fcn.weights.verify import problem_of
from nets import weights


def caffemodel(size=200000):
    """The bytes of a caffemodel with one layer of numbers."""
    net = caffe_pb2.NetParameter(name="n")
    blob = net.layer.add(name="fc", type="InnerProduct").blobs.add()
    blob.shape.dim.extend([size // 4])
    blob.data.extend(float(i % 977) for i in range(size // 4))
    return net.SerializeToString()


CONTENT = caffemodel()


def entry(urls=(), content=CONTENT, **fields):
    """A row of a table for `content`, which belongs at nets/a/w.caffemodel."""
    values = dict(
        name="w",
        what="",
        file="nets/a/w.caffemodel",
        urls=urls,
        size=len(content),
        numbers=10,
        hashes=dict(sha1=hashlib.sha1(content).hexdigest()),
        licence="",
        mean="",
        inputs="BGR",
    )
    return Weights(**dict(values, **fields))


class Server:
    """A web server on this machine: path → function of (handler, first byte asked for)."""

    def __init__(self):
        self.asked = []  # (path, Range header)
        self.answers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.asked.append((self.path, asked))
                answer = outer.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self, int(asked[len("bytes=") : -1]) if asked else None)

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.home = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def put(self, path, answer):
        self.answers[path] = answer
        return self.home + path

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def ranges(content, stop=None, shift=0):
    """An answer that knows ranges; breaks off at byte `stop`; `shift` falsifies the range."""

    def answer(handler, first):
        if first is not None and first >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.end_headers()
            return
        start = (first or 0) + (shift if first else 0)
        handler.send_response(200 if first is None else 206)
        if first is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:stop])

    return answer


def whole(content, length=True, kind="application/octet-stream"):
    """An answer that knows no ranges."""

    def answer(handler, first):
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        if length:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def get(e, tmp_path):
    """(lines, what was said on the way) of getting `e` below tmp_path."""
    said = io.StringIO()
    return weights.get(e, str(tmp_path), progress=download.Progress(said), pause=0), said.getvalue()


def place(tmp_path, name="w.caffemodel"):
    return os.path.join(str(tmp_path), "nets", "a", name)


def put(tmp_path, content, name="w.caffemodel"):
    os.makedirs(os.path.dirname(place(tmp_path)), exist_ok=True)
    with open(place(tmp_path, name), "wb") as file:
        file.write(content)


def read(tmp_path):
    with open(place(tmp_path), "rb") as file:
        return file.read()


def files(tmp_path):
    return sorted(os.listdir(os.path.dirname(place(tmp_path))))


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


@pytest.mark.parametrize(
    "content, said",
    [
        (CONTENT, ""),
        (CONTENT[:-1], "cut short"),
        (CONTENT[:2], "cut short"),
        (b"<html>" + bytes(99), "no caffemodel"),
        (b"PK\x03\x04" + bytes(99), "no caffemodel"),
        (caffe_pb2.NetParameter(name="n").SerializeToString(), "no layers"),
        (b"", "no layers"),
    ],
    ids=["whole", "last byte gone", "two bytes", "web page", "zip", "no layers", "empty"],
)
def test_structure_of_a_caffemodel(tmp_path, content, said):
    put(tmp_path, content)
    found = problem_of(place(tmp_path))
    assert said in found if said else found == ""


def test_v1_layers_are_layers_too(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layers.add(name="a")
    put(tmp_path, net.SerializeToString())
    assert problem_of(place(tmp_path)) == ""


def test_too_few_bytes_for_the_net(tmp_path):
    put(tmp_path, CONTENT)
    e = entry(size=None, hashes={}, numbers=60000)
    assert "240000" in weights.verify(e, place(tmp_path))


def test_the_table():
    from fcn import catalog
    from fcn.classifiers.catalog import CLASSIFIERS

    assert set(catalog.PUBLISHED) <= set(WEIGHTS)
    for e in WEIGHTS.values():
        assert e.urls and all(url.startswith(("http://", "https://")) for url in e.urls)
        for algorithm, value in e.hashes.items():
            assert len(value) == 2 * hashlib.new(algorithm).digest_size, e.name
            int(value, 16)
        # A published size leaves room for the numbers and little else.
        assert e.size is None or e.least < e.size < 1.01 * e.least + 2e5, e.name
        assert by_file(e.file) is e
        if e.name in CLASSIFIERS:
            c = CLASSIFIERS[e.name]
            assert e.file == "ilsvrc-nets/" + c.file and e.mean == (c.mean or e.mean)
            assert c.parameters <= e.numbers
    assert "reported down" in host_remark("http://dl.caffe.berkeleyvision.org/x")
    assert host_remark("http://example.org/x") == ""
    assert "there are vgg16," in raised(LookupError, row, "vgg")


def test_numbers_of_the_fcns_are_those_of_their_prototxts():
    from fcn import catalog
    from fcn.geometry import facts
    from fcn.prototxt import read_net

    for name in catalog.PUBLISHED:
        net = read_net(os.path.join(ROOT, catalog.net_path(name, "deploy")))
        assert sum(r.params for r in facts.walk(net)) == row(name).numbers, name


def test_the_page_has_the_table():
    with open(os.path.join(ROOT, "docs", "weights.md"), encoding="utf-8") as page:
        assert weights.table() in page.read()


def test_missing_weights_name_the_command():
    from fcn.weights import find as places

    text = raised(
        places.MissingWeights,
        places.find,
        places.trained("voc-fcn8s", "nowhere"),
        None,
        "voc-fcn8s needs weights",
    )
    assert "`python nets/weights.py voc-fcn8s` gets fcn8s-heavy-pascal.caffemodel" in text, text


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


def test_tiny_fields_do_not_take_minutes(tmp_path):
    path = str(tmp_path / "x.caffemodel")
    with open(path, "wb") as f:
        f.write(b"\x28\x01" * 1_000_000)
    began = time.monotonic()
    assert "more than 100000 fields" in problem_of(path)
    assert time.monotonic() - began < 5
