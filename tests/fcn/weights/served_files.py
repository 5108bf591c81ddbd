"""Files that a server has, and where they are fetched to."""

import hashlib
import io
import os

from caffe.proto import caffe_pb2
from fcn.weights import download
from fcn.weights.table import Weights
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
