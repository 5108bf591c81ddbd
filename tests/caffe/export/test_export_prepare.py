"""The net that is exported: data layers become inputs, a Net keeps its own."""

import numpy as np
import pytest
from exported_nets import CONV
from exporting import fill, net_text

import caffe
from caffe.export import ExportError, to_onnx
from caffe.export.prepare import prepared


def test_a_data_layer_without_its_file_wants_a_shape(tmp_path):
    layers = [
        "name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: 'no/such' "
        "batch_size: 2 }",
        "name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'score' "
        "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }",
    ]
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(layers))
    with pytest.raises(ExportError, match="layer 'data'.*--shape data=1,3,224,224"):
        to_onnx(path, None, tmp_path / "net.onnx")
    shapes = {"data": (2, 3, 4, 4), "label": (2,)}
    made = to_onnx(path, None, tmp_path / "net.onnx", shapes=shapes)
    assert made.inputs == {"data": [2, 3, 4, 4]}
    with pytest.raises(ExportError, match="'date', which no data layer makes.*data"):
        to_onnx(path, None, tmp_path / "net.onnx", shapes={"date": (1,)})


def test_a_net_object_keeps_its_shapes_and_numbers(tmp_path):
    (tmp_path / "net.prototxt").write_text(net_text([CONV, "type: 'ReLU'"], (1, 3, 5, 5)))
    net = fill(caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST))
    before = net.params["l0"][0].data.copy()
    made = to_onnx(net, None, tmp_path / "net.onnx", dynamic=True, half=True)
    assert made.outputs == {"y1": ["batch", 4, "height", "width"]}
    assert net.blobs["x0"].data.shape == (1, 3, 5, 5)
    assert np.array_equal(net.params["l0"][0].data, before)
    net.blobs["x0"].reshape(2, 3, 7, 4)
    made = to_onnx(net, None, tmp_path / "net.onnx")
    assert made.outputs == {"y1": [2, 4, 7, 4]}  # as it is now
    train = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    with pytest.raises(ExportError, match="the export is of a net in TEST"):
        to_onnx(train, None, tmp_path / "net.onnx")


def test_every_source_becomes_an_input_of_its_shape(tmp_path):
    layers = [
        "name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param { "
        "shape { dim: 2 dim: 3 } shape { dim: 2 } }",
        "name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'score' "
        "inner_product_param { num_output: 5 }",
    ]
    (tmp_path / "net.prototxt").write_text(net_text(layers))
    net = prepared(tmp_path / "net.prototxt", shapes={"data": (7, 3)})
    assert net.layers[0].type == "Input" and list(net.inputs) == ["data", "label"]
    assert net.blobs["data"].data.shape == (7, 3) and net.blobs["label"].data.shape == (2,)
