"""docs/onnx.md names every layer type that is exported, and what the export writes."""

import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_every_exported_type_is_on_the_page():
    table = pytest.importorskip("caffe.export.table", reason="the engine needs Python 3.10")
    model = pytest.importorskip("caffe.export.model")
    with open(os.path.join(ROOT, "docs", "onnx.md"), encoding="utf-8") as f:
        page = f.read()
    words = set(page.replace(",", " ").replace("`", " ").replace("*", " ").split())
    missing = [name for name in table.written_types() if name not in words]
    assert not missing, f"docs/onnx.md does not say how these are written: {missing}"
    assert f"Opset {model.OPSET}, IR version {model.IR_VERSION}." in page
