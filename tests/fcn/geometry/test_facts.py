"""What prototxts alone tell, against the nets themselves, coord_map and the paper."""

import os

import pytest
from fcn_helpers import ROOT, raised
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.geometry import facts
from fcn.prototxt import read_net
from nets import explain

LIGHT = [name for name in catalog.EXPERIMENTS if name.startswith(("toy", "camvid"))]


def rows_of(name, height, width):
    net = read_net(os.path.join(ROOT, catalog.net_path(name, "deploy")))
    return facts.walk(net, explain.input_sizes(net, height, width))


@pytest.mark.slow
def test_shapes_and_parameters_are_those_of_the_net():
    for name in LIGHT:
        net = caffe.Net(os.path.join(ROOT, catalog.net_path(name, "deploy")), caffe.TEST)
        for height, width in ((77, 130), (33, 32), (1, 1)):
            net.blobs["data"].reshape(1, 3, height, width)
            net.reshape()
            for row in rows_of(name, height, width):
                for top in row.tops:
                    assert row.blob.shape == list(net.blobs[top].shape), (name, row.name)
                count = sum(blob.count for blob in net.params.get(row.name, []))
                assert row.params == count, (name, row.name)


def test_facts_of_the_paper():
    for name, parameters, field in (("voc-fcn-alexnet", 57, 355), ("voc-fcn32s", 134, 404)):
        net = read_net(os.path.join(ROOT, catalog.net_path(name, "deploy")))
        found = facts.facts(net, explain.input_sizes(net, 500, 500))
        assert (round(found.parameters / 1e6), found.field, found.stride) == (parameters, field, 32)

        # The published net's weights, all of them, stand in tests/nets/test_shapes.py.


def test_every_crop_of_the_published_nets_is_aligned():
    offsets = {}
    for name in ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s", "voc-fcn-alexnet"):
        for row in rows_of(name, 500, 334):
            if row.type == "Crop":
                assert "aligned would be" not in row.note
                offsets.setdefault(name, []).append(int(row.note.split()[1].rstrip(":")))
    assert offsets == {
        "voc-fcn32s": [19],
        "voc-fcn16s": [5, 27],
        "voc-fcn8s": [5, 9, 31],
        "voc-fcn-alexnet": [18],
    }


def test_a_crop_that_is_not_aligned_says_what_would_be():
    net = read_net(os.path.join(ROOT, catalog.net_path("voc-fcn32s", "deploy")))
    crop = next(layer for layer in net.layer if layer.type == "Crop")
    crop.crop_param.offset[0] = 34
    row = next(row for row in facts.walk(net) if row.type == "Crop")
    assert "offset 34" in row.note and row.note.endswith("aligned would be 19")


def pooling(number, kernel, stride):
    bottom = f"p{number - 1}" if number else "data"
    return f"""layer {{ name: "p{number}" type: "Pooling" bottom: "{bottom}" top: "p{number}"
      pooling_param {{ pool: AVE kernel_size: {kernel} stride: {stride} }} }}"""


def test_the_receptive_field_is_what_reaches_a_value(tmp_path):
    """Column by column of the image: which ones change a value in the middle of the last blob?"""
    text = """layer { name: "in" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 1 dim: 60 dim: 60 } } }"""
    text += "".join(pooling(i, *window) for i, window in enumerate(((3, 2), (5, 1), (2, 2))))
    path = os.path.join(str(tmp_path), "net.prototxt")
    with open(path, "w") as f:
        f.write(text)
    net = caffe.Net(path, caffe.TEST)
    middle = net.blobs["p2"].shape[3] // 2
    seen = 0
    for column in range(60):
        net.blobs["data"].data[...] = 0
        net.blobs["data"].data[..., column] = 1
        seen += bool(net.forward()["p2"][0, 0, middle, middle])
    rows = facts.walk(text_format.Parse(text, caffe_pb2.NetParameter()))
    assert rows[-1].blob.field == seen == 13


def test_an_unknown_layer_is_named():
    net = text_format.Parse('layer { name: "odd" type: "Reshape" }', caffe_pb2.NetParameter())
    assert "layer 'odd' has type Reshape" in raised(facts.GeometryError, facts.walk, net)
