"""One rule of sizes, offsets and receptive fields, against nets and `caffe.coord_map`."""

import itertools
import os

import pytest
from fcn_helpers import raised
from google.protobuf import text_format

import caffe
from caffe import coord_map
from caffe import layers as L
from caffe.proto import caffe_pb2
from fcn.geometry.fields import shapes
from fcn.geometry.ops import InferenceError, Window, read_ops, windows_of

KINDS = {
    "Convolution": "convolution_param { num_output: 1",
    "Deconvolution": "convolution_param { num_output: 1",
    "Pooling": "pooling_param { pool: AVE",
}


def net_text(kind, fields, height, width):
    return f"""
        layer {{ name: "in" type: "Input" top: "data"
                 input_param {{ shape {{ dim: 1 dim: 1 dim: {height} dim: {width} }} }} }}
        layer {{ name: "x" type: "{kind}" bottom: "data" top: "x" {KINDS[kind]} {fields} }} }}"""


def parsed(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_those_of_the_net(kind, tmp_path):
    path = os.path.join(str(tmp_path), "net.prototxt")
    compared = 0
    for kernel, stride, pad in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2)):
        if kind == "Pooling" and pad >= kernel:
            continue  # Caffe refuses it
        fields = f"kernel_size: {kernel} stride: {stride} pad: {pad}"
        with open(path, "w") as f:
            f.write(net_text(kind, fields, 9, 9))
        net = caffe.Net(path, caffe.TEST)
        ops = read_ops(parsed(net_text(kind, fields, 9, 9)))
        for height, width in ((9, 14), (7, 8), (5, 6), (kernel, kernel + 1)):
            if min(ops[1].windows[0].size(n) for n in (height, width)) < 1:
                continue
            net.blobs["data"].reshape(1, 1, height, width)
            net.reshape()
            found = shapes(ops, height, width)["x"]
            assert found == tuple(net.blobs["x"].shape)[1:], (fields, height, width)
            compared += 1
    assert compared > 50


def test_a_convolution_rounds_the_number_of_steps_towards_zero(tmp_path):
    """As Caffe's integers do: a kernel of 3 finds one place, stride 2, in 2 pixels."""
    path = os.path.join(str(tmp_path), "net.prototxt")
    text = net_text("Convolution", "kernel_size: 3 stride: 2", 2, 2)
    with open(path, "w") as f:
        f.write(text)
    assert list(caffe.Net(path, caffe.TEST).blobs["x"].shape) == [1, 1, 1, 1]
    assert shapes(read_ops(parsed(text)), 2, 2)["x"] == (1, 1, 1)
    text = net_text("Convolution", "kernel_size: 3", 2, 2)
    assert "too small" in raised(InferenceError, shapes, read_ops(parsed(text)), 2, 2)


def test_places_are_those_of_coord_map():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, 50, 50]))
    for kind, (kernel, stride, pad) in itertools.product(
        KINDS, ((1, 1, 0), (3, 2, 1), (4, 2, 0), (7, 4, 100))
    ):
        fields = dict(kernel_size=kernel, stride=stride, pad=pad)
        if kind == "Deconvolution":
            fields = dict(convolution_param=dict(num_output=1, **fields))
        top = getattr(L, kind)(n.data, **fields)
        _, a, b = coord_map.coord_map_from_to(top, n.data)
        window = Window(kernel, stride, pad, up=kind == "Deconvolution")
        # coord_map maps the other way round: x_data = a·x_blob + b.
        scale, shift = window.place(1, 0)
        assert (1 / scale, -shift / scale) == (a, b), (kind, fields)


def test_neighbours_counts_what_one_value_depends_on():
    assert [Window(k).neighbours() for k in (1, 3, 7)] == [1, 3, 7]
    # 64 at stride 32: every pixel gets two of the coarse values; 63: two or one.
    assert [Window(k, 32, up=True).neighbours() for k in (32, 63, 64, 65)] == [1, 2, 2, 3]


def test_axes_may_differ_and_dilation_counts():
    text = net_text("Convolution", "kernel_h: 3 kernel_w: 5 dilation: 2 pad_h: 1 pad_w: 0", 9, 9)
    height, width = windows_of(parsed(text).layer[1])
    assert (height.kernel, height.pad, width.kernel, width.pad) == (5, 1, 9, 0)
