"""to_onnx as a whole: sizes, outputs, preprocessing, proof, metadata, what is cut and refused."""

import pytest
from exported_nets import CONV
from exporting import export

from caffe.export import ExportError


def test_a_python_layer_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "doubling.py").write_text(
        "import caffe\n"
        "class Double(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data\n"
        "    def backward(self, top, propagate_down, bottom): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    layers = [
        CONV,
        "name: 'mine' type: 'Python' python_param { module: 'doubling' layer: 'Double' }",
    ]
    with pytest.raises(
        ExportError, match=r"layer 'mine' \(type Python\) cannot be exported: its code"
    ):
        export(tmp_path, layers, (1, 3, 5, 5))
    assert not (tmp_path / "net.onnx").exists()
    export(tmp_path, layers, (1, 3, 5, 5), outputs=["y0"])
