"""Whether a file is a whole caffemodel."""

import time

import pytest
from served_files import CONTENT, entry, place, put

from caffe.proto import caffe_pb2
from fcn.weights.verify import problem_of
from nets import weights


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


def test_tiny_fields_do_not_take_minutes(tmp_path):
    path = str(tmp_path / "x.caffemodel")
    with open(path, "wb") as f:
        f.write(b"\x28\x01" * 1_000_000)
    began = time.monotonic()
    assert "more than 100000 fields" in problem_of(path)
    assert time.monotonic() - began < 5
