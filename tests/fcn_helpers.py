"""Helpers of the tests of FCN, which use only pycaffe's API, so that
`tests/oracle/fcn_tests.py` can run them on BVLC Caffe too."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
os.environ.setdefault("GLOG_minloglevel", "2")
from google.protobuf import text_format  # noqa: E402

import bootstrap  # noqa: E402, F401
import caffe  # noqa: E402
from caffe.proto import caffe_pb2  # noqa: E402
from fcn import catalog  # noqa: E402


def raised(kind, function, *args, **kwargs):
    """The text of the exception of that kind that the call raises."""
    try:
        function(*args, **kwargs)
    except kind as e:
        return str(e)
    raise AssertionError(f"no {kind.__name__} was raised")


def read_text(message, *path):
    """A prototxt of the repository as a message."""
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return text_format.Merge(f.read(), message)


def read_net(experiment, phase):
    return read_text(caffe_pb2.NetParameter(), catalog.net_path(experiment, phase))


def net_of(tmp_path, text, phase=caffe.TEST, name="net"):
    """A Net from prototxt text."""
    path = os.path.join(str(tmp_path), name + ".prototxt")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return caffe.Net(path, phase)
