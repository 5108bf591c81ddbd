"""Messages as text, the same on every protobuf, and prototxts that are none."""

import numpy as np
import pytest
from fcn_helpers import raised
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn.prototxt import DamagedPrototxt, float_text, quoted, read_net, read_solver, to_text


@pytest.mark.parametrize(
    "value, text", [(0.0001, "0.0001"), (1e-10, "1e-10"), (2.0, "2"), (0.1, "0.1"), (1e7, "1e+07")]
)
def test_a_float_is_the_shortest_decimal_of_its_bits(value, text):
    assert float_text(value) == text and np.float32(text) == np.float32(value)


def test_any_text_is_read_again():
    for text in ('a"b', "back\\slash", "größe", "tab\t\n"):
        net = caffe_pb2.NetParameter(name=text)
        assert text_format.Parse("name: " + quoted(text), caffe_pb2.NetParameter()) == net
        assert text_format.Parse(to_text(net), caffe_pb2.NetParameter()) == net


def test_a_message_is_written_in_the_order_of_its_numbers():
    text = 'base_lr: 0.01\nnet: "n"\ntest_iter: 3\ntest_iter: 4\n'
    solver = text_format.Parse(text, caffe_pb2.SolverParameter())
    lines = to_text(solver).splitlines()
    assert lines == ["test_iter: 3", "test_iter: 4", "base_lr: 0.01", 'net: "n"']


def test_a_file_that_is_no_prototxt_is_named(tmp_path):
    path = tmp_path / "a.prototxt"
    for content in (b"layer {", b"\xff\xfe", b"base_lr: x"):
        path.write_bytes(content)
        for read in (read_net, read_solver):
            assert f"'{path}' is no " in raised(DamagedPrototxt, read, str(path))
