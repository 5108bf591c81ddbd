"""caffe export: its flags, what it prints, and the conversion of Caffe's own formats."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")

from PIL import Image

import caffe
from caffe import cli

NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        param { name: "w" } convolution_param { num_output: 3 kernel_size: 3 pad: 1
        weight_filler { type: "xavier" } } }
layer { name: "again" type: "Convolution" bottom: "conv" top: "again"
        param { name: "w" } convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "aux" type: "InnerProduct" bottom: "conv" top: "aux" include { phase: TRAIN }
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net("net.prototxt", caffe.TRAIN).save("net.caffemodel")
    return tmp_path


def call(line):
    return cli.main(["export", *line.split()])


def test_a_file_and_what_is_printed(folder, capsys):
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save("photo.png")
    assert call("net.prototxt net.caffemodel net.onnx --dynamic --image photo.png --half") == 0
    out = capsys.readouterr().out
    assert "on random numbers (data 1 x 3 x 8 x 8) the largest relative difference is" in out
    assert "on image 1 (data 1 x 3 x 9 x 7)" in out
    assert "on random numbers (data 2 x 3 x 7 x 7)" in out
    assert "weights of 16 bits move" in out
    assert "takes data batch x 3 x height x width\n" in out
    assert "wrote net.onnx: 2 operators" in out
    assert (folder / "net.onnx").exists()


def test_without_the_check(capsys):
    assert call("net.prototxt net.caffemodel net.onnx --no-check") == 0
    assert "not compared with the engine" in capsys.readouterr().out


def test_flags_of_sizes_and_preprocessing(capsys):
    line = "net.prototxt net.caffemodel net.onnx --axes height --shape data=2,3,6,10"
    assert call(line + " --mean 1,2,3 --rgb --scale 0.5 --outputs conv") == 0
    out = capsys.readouterr().out
    assert "takes data 2 x 3 x height x 10\n" in out and "gives conv 2 x 3 x height x 10\n" in out


@pytest.mark.parametrize(
    "line, text",
    [
        ("--mean a", "--mean takes numbers"),
        ("--shape data", "--shape takes NAME=N,C,H,W"),
        ("--shape data=0,1", "--shape takes NAME=N,C,H,W"),
        ("--to onyx", "--to is onnx, caffemodel or hdf5"),
        ("--axes depth", "dynamic sizes are batch, height, width"),
        ("--image none.png", "none.png"),
    ],
)
def test_wrong_calls(line, text, capfd):
    assert call("net.prototxt net.caffemodel net.onnx " + line) == 1
    assert text in capfd.readouterr().err


def test_the_old_formats(folder, capsys):
    assert call("net.prototxt net.caffemodel net.h5 --to hdf5") == 0
    assert "wrote net.h5: hdf5, the parameters of 3 layers, read back" in capsys.readouterr().out
    assert call("net.prototxt net.h5 back.caffemodel --to caffemodel") == 0
    a = caffe.Net("net.prototxt", caffe.TRAIN)
    b = caffe.Net("net.prototxt", caffe.TRAIN)
    a.copy_from("net.caffemodel")
    b.copy_from("back.caffemodel")
    for name in a.params:
        for left, right in zip(a.params[name], b.params[name]):
            assert np.array_equal(left.data, right.data)


@pytest.mark.slow
def test_import_caffe_does_not_import_onnx():
    script = "import sys, caffe, caffe.export; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_without_the_package_one_error_says_what_to_install(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert call("net.prototxt net.caffemodel net.onnx") == 1
    assert 'pip install "pycaffe-torch[onnx]"' in capfd.readouterr().err
