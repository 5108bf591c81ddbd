"""The proof: ONNX Runtime beside the engine, and how their numbers are compared."""

import numpy as np
import pytest
from exported_nets import CONV, metadata
from exporting import export

from caffe.export import ExportError, check, table


def test_a_wrong_graph_is_not_written_and_the_layer_is_named(tmp_path, monkeypatch):
    wrong = dict(table._writers)
    wrong["TanH"] = lambda g, layer, bottoms: [g.node("Sigmoid", bottoms[0].name)]
    monkeypatch.setattr(table, "_writers", wrong)
    layers = [CONV, "name: 'odd' type: 'TanH'", "type: 'AbsVal'", CONV]
    (tmp_path / "net.onnx").write_bytes(b"earlier")
    with pytest.raises(ExportError, match=r"first layer that differs is 'odd' \(type TanH\), by"):
        export(tmp_path, layers, (1, 3, 5, 5))
    assert (tmp_path / "net.onnx").read_bytes() == b"earlier"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"net.onnx", "net.prototxt", "net.caffemodel"}
    made, model, _ = export(tmp_path, layers, (1, 3, 5, 5), check=False)
    assert made.proofs == []
    assert metadata(model)["checked"].startswith("no")


def test_difference():
    a = np.array([1.0, -4.0, np.nan, np.inf], np.float32)
    assert check.difference(a, a.copy()) == 0
    assert check.difference(a, a + np.float32(1)) == 0.25
    assert check.difference(a, np.array([1, -4, 0, np.inf], np.float32)) == np.inf
    assert check.difference(a, np.array([1, -4, np.nan, -np.inf], np.float32)) == np.inf
    assert check.difference(a, a[:3]) == np.inf
    assert check.difference(np.zeros(3), np.zeros(3)) == 0
    assert check.difference(np.zeros(3), np.ones(3)) == np.inf
