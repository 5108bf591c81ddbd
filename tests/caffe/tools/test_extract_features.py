"""extract_features: records and keys; one error, and no database, where something is wrong."""

import os

import numpy as np
import pytest

import caffe
from caffe.data import db
from caffe.proto import caffe_pb2
from caffe.tools import extract_features
from caffe.tools.flags import UsageError

NET = """
layer { name: "numbers" type: "DummyData" top: "data" top: "scalar"
        dummy_data_param { shape { dim: 2 dim: 3 dim: 1 dim: 2 } shape { }
                           data_filler { type: "uniform" min: 1 max: 2 } } }
layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    weights = caffe_pb2.NetParameter(name="no layers")
    (tmp_path / "net.caffemodel").write_bytes(weights.SerializeToString())


def run(blobs="data", stores="out", batches="2", backend="lmdb", *more):
    return extract_features.main(
        ["net.caffemodel", "net.prototxt", blobs, stores, batches, backend, *more]
    )


def content(path):
    cursor = db.open(path, "lmdb").records()
    found = {}
    while True:
        key, value = cursor.item()
        found[key] = caffe_pb2.Datum.FromString(value)
        if not cursor.next():
            return found


def test_one_datum_an_item(net):
    caffe.set_random_seed(1)
    assert run("data,flat", "a,b", "2", "lmdb", "CPU") == 0
    data, flat = content("a"), content("b")
    assert list(data) == list(flat) == [b"%010d" % i for i in range(4)]
    caffe.set_random_seed(1)
    again = caffe.Net("net.prototxt", caffe.TEST)
    expected = np.concatenate([again.forward(["data"])["data"].copy() for _ in range(2)])
    for item, one, other in zip(expected, data.values(), flat.values()):
        assert (one.channels, one.height, one.width) == (3, 1, 2)
        assert (other.channels, other.height, other.width) == (6, 1, 1)
        assert not one.HasField("label") and not one.data
        np.testing.assert_array_equal(np.array(one.float_data, np.float32), item.ravel())
        assert list(one.float_data) == list(other.float_data)


@pytest.mark.slow
def test_every_thousand_records_are_committed(net, capfd, monkeypatch):
    monkeypatch.setattr(caffe.glog._state, "level", 0)
    assert run(batches="501") == 0
    log = capfd.readouterr().err
    assert "Extracted features of 1000 query images for feature blob data" in log
    assert "Extracted features of 1002 query images" in log and "Successfully extracted" in log
    assert len(content("out")) == 1002


def test_too_few_arguments(capsys):
    assert extract_features.main(["net.caffemodel"]) == 1
    assert "Usage: extract_features" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("data,flat", "a"), UsageError, "must be equal: got 2 and 1"),
        (("dat",), caffe.Error, "Unknown feature blob name dat .* Did you mean 'data'"),
        (("data", "out", "x"), UsageError, "expected a number from 0 to .* for NUM_MINI_BATCHES"),
        (("data", "out", "99999999999999999999"), UsageError, "from 0 to 2147483647 for NUM_"),
        (("data", "out", "1", "sql"), caffe.Error, "Unknown database backend 'sql'"),
        (("scalar",), caffe.Error, "cannot extract blob 'scalar'"),
        (("data", "net.prototxt"), caffe.Error, "it exists already"),
        (("data", "out", "1", "lmdb", "GPU", "-1"), UsageError, "DEVICE_ID"),
    ],
)
def test_one_error_and_no_database(net, arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments)
    assert sorted(os.listdir()) == ["net.caffemodel", "net.prototxt"]
