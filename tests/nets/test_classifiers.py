"""The command nets/classifiers.py: what it writes, and mistakes."""

import os
import subprocess
import sys

import pytest
from fcn_helpers import ROOT, raised
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn.classifiers import catalog
from nets import classifiers

pytestmark = pytest.mark.slow

NAMES = list(catalog.CLASSIFIERS)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["classifiers.py", *arguments])
    status = classifiers.main()
    return (status, *capsys.readouterr())


def test_command_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "net.prototxt"
    arguments = ["vgg16", "--form", "deploy", "--v1", "--out", str(path)]
    script = os.path.join(ROOT, "nets", "classifiers.py")
    subprocess.run([sys.executable, script, *arguments], check=True, cwd=str(tmp_path))
    net = text_format.Parse(path.read_text(), caffe_pb2.NetParameter())
    assert net == classifiers.build("vgg16", "deploy", "v1") and list(net.input_dim) == [
        10,
        3,
        224,
        224,
    ]
    status, out, _ = run(monkeypatch, capsys, "lenet", "--form", "train_val")
    assert status == 0 and out == classifiers.text(classifiers.build("lenet", "train_val"))
    status, out, _ = run(monkeypatch, capsys)
    assert status == 0 and all(name in out for name in NAMES) and "138,357,544" in out


def test_mistakes_on_the_command_line(monkeypatch, capsys):
    status, out, error = run(monkeypatch, capsys, "vgg17")
    assert status == 1 and not out
    assert error.startswith("classifiers.py: no classifier 'vgg17'") and "vgg16" in error
    status, _, error = run(monkeypatch, capsys, "mobilenet1", "--v1")
    assert status == 1 and "V1 nets had no layer type BatchNorm" in error
    assert "train_val or deploy" in raised(ValueError, classifiers.build, "lenet", "test")
