"""The ONNX file: weights of 16 bits, metadata, its largest size."""

import numpy as np
import pytest
from exported_nets import CONV, metadata, run
from exporting import export, onnx

from caffe.export import ExportError, check, to_onnx
from caffe.export import model as model_file


def test_the_proof_is_part_of_the_file(tmp_path):
    _, model, _ = export(tmp_path, [CONV], (1, 3, 5, 5))
    said = metadata(model)
    assert said["source"] == "net.prototxt" and said["weights"] == "net.caffemodel"
    assert said["checked"].startswith("ONNX Runtime ")


@pytest.mark.slow
def test_weights_of_16_bits(tmp_path):
    layers = [CONV, "type: 'BatchNorm'", "type: 'ReLU'", CONV]
    full, _, _ = export(tmp_path, layers, (1, 3, 9, 9))
    made, model, net = export(tmp_path, layers, (1, 3, 9, 9), half=True)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert kinds["l0.weight/half"] == onnx.TensorProto.FLOAT16
    assert kinds["l1/mean"] == onnx.TensorProto.FLOAT
    assert 1e-6 < made.half["y3"] < 1e-2
    x = np.random.RandomState(1).standard_normal((1, 3, 9, 9)).astype(np.float32)
    net.blobs["x0"].data[...] = x
    moved = check.difference(net.forward()["y3"], run(tmp_path / "net.onnx", x0=x)["y3"])
    assert 1e-6 < moved < 1e-2
    net.params["l0"][0].data[0, 0, 0, 0] = 1e6
    net.save(str(tmp_path / "large.caffemodel"))
    with pytest.raises(ExportError, match="layer 'l0': blob 0 holds values above 65504"):
        to_onnx(tmp_path / "net.prototxt", tmp_path / "large.caffemodel", tmp_path / "a", half=True)


def test_a_graph_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_LARGEST", 1000)
    with pytest.raises(ExportError, match="more than the 2 GB.*--half"):
        export(tmp_path, [CONV, CONV], (1, 3, 5, 5))
    assert not (tmp_path / "net.onnx").exists()
