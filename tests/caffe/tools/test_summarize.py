"""summarize: a net as a table, whatever generation its prototxt is of."""

from caffe.cli import main
from caffe.proto import caffe_pb2
from caffe.tools import summarize

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 64 kernel_size: 7 stride: 2 pad: 3 group: 2 } }
layer { name: "wide" type: "Convolution" bottom: "conv1" top: "wide"
  convolution_param { num_output: 8 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 dilation: 2 } }
layer { name: "pool" type: "Pooling" bottom: "wide" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "all" type: "Pooling" bottom: "pool" top: "all"
  pooling_param { global_pooling: true } }
layer { name: "py" type: "Python" bottom: "gone" top: "py"
  python_param { module: "mine" layer: "My" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "all" bottom: "py" top: "loss" loss_weight: 0.5 }
"""


def test_each_layer_is_a_line(tmp_path, capsys):
    (tmp_path / "net").write_text(NET)
    assert main(["summarize", str(tmp_path / "net")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["data", "Input", "->", "data"],
        ["conv1", "Convolution", "(,", "x2", "Dx0)", "data", "->", "conv1", "7/2+3", "64/2"],
        ["wide", "Convolution", "conv1", "->", "wide", "1x5+0x2*2", "8"],
        ["pool", "Pooling", "wide", "->", "pool", "3/2"],
        ["all", "Pooling", "pool", "->", "all", "global"],
        ["py", "mine.My", "gone", "->", "py"],
        ["loss", "EuclideanLoss", "all,", "py", "->", "0.5", "*", "loss"],
    ]


def test_colours_tell_what_is_missing_and_what_nobody_reads():
    from google.protobuf import text_format

    rows = summarize.table(text_format.Parse(NET, caffe_pb2.NetParameter()))
    assert rows[5][3] == "\033[41mgone\033[0m"
    assert rows[6][5].endswith("0.5 * \033[1;4mloss\033[0m")
    assert "\033[1;4m" not in rows[0][5]


def test_a_net_of_2014_and_a_narrow_column(tmp_path, capsys):
    (tmp_path / "old").write_text(
        'input: "d" input_dim: 1 input_dim: 1 input_dim: 5 input_dim: 5\n'
        'layers { name: "a_long_name" type: CONVOLUTION bottom: "d" top: "c"'
        " blobs_lr: 1 blobs_lr: 2 convolution_param { num_output: 2 kernel_size: 3 } }"
    )
    assert main(["summarize", str(tmp_path / "old"), "-w", "4"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].split()[:4] == ["a_long_name", "Convolution", "(,", "x2)"]
    assert main(["summarize", str(tmp_path / "gone")]) == 1
