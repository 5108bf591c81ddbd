"""draw: the graph and its labels; pictures where Graphviz's program is there.

Labels, nodes and edges of BVLC Caffe's are compared in tests/oracle/pycaffe_both.py.
"""

import shutil
import stat
import sys

import pytest
from google.protobuf import text_format

import caffe
from caffe import draw
from caffe.errors import Error

pydot = pytest.importorskip("pydot", reason="pydot is an extra of the package")

NET = """
name: "two words"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 5 }
        include { phase: TRAIN } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "out:1"
        convolution_param { num_output: 6 kernel_size: 5 stride: 2 } param { lr_mult: 3 } }
layer { name: "relu \\"a\\"" type: "ReLU" bottom: "out:1" top: "out:1" }
"""


@pytest.fixture
def net():
    return text_format.Merge(NET, caffe.proto.caffe_pb2.NetParameter())


def test_labels(net):
    conv = net.layer[1]
    expected = '"conv (Convolution) kernel size: 5 stride: 2 pad: 0"'
    assert draw.get_layer_label(conv, "TB") == expected
    assert draw.get_layer_label(conv, "LR", True).endswith('pad: 0\\nlr mult: 3.0, 1.0"')
    assert draw.get_layer_label(net.layer[2], "TB") == '"relu \\"a\\" (ReLU)"'
    assert [draw.get_edge_label(layer) for layer in net.layer] == ["Batch 5", 6, '""']
    assert draw.get_layer_lr_mult(conv) == (3.0, 1.0)
    with pytest.raises(ValueError, match="ReLU layers do not have a learning rate"):
        draw.get_layer_lr_mult(net.layer[2])
    assert draw.get_pooling_types_dict() == {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}
    assert draw.choose_color_by_layertype("ReLU") == draw.LAYER_STYLE_DEFAULT["fillcolor"]


@pytest.mark.slow
# pydot reads by old names of pyparsing.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_graph_text_is_what_dot_reads(net):
    """Names that mean something to Graphviz (a space, a colon, quotes) are quoted."""
    graph = draw.get_pydot_graph(net, "LR")
    again = pydot.graph_from_dot_data(graph.to_string())[0]
    assert again.get_name() == '"two words"' and again.get_rankdir() == "LR"
    names = {node.get_name() for node in again.get_nodes()}
    assert '"out:1"' in names and len(names) == 6
    edges = [(e.get_source(), e.get_destination(), e.get_label()) for e in again.get_edges()]
    assert ('"relu \\"a\\"\\n(ReLU)"', '"out:1"', '""') in edges and len(edges) == 6
    green = [n for n in again.get_nodes() if n.get_fillcolor() == '"#90EE90"']
    assert len(green) == 1  # the layer that works in place


def test_phases(net):
    assert len(draw.get_pydot_graph(net, "TB", phase=caffe.TRAIN).get_edges()) == 6
    assert len(draw.get_pydot_graph(net, "TB", phase=caffe.TEST).get_edges()) == 4
    net.layer[0].exclude.add()
    with pytest.raises(ValueError, match="layer data has both include and exclude"):
        draw.get_pydot_graph(net, "TB", phase=caffe.TEST)


def stub_dot(folder, monkeypatch, body):
    """A program `dot` of ours, alone on the path."""
    path = folder / "dot"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_a_file_is_what_dot_answers(net, tmp_path, monkeypatch):
    stub_dot(tmp_path, monkeypatch, "sys.stdout.write(' '.join(sys.argv[1:2]) + ' picture')")
    draw.draw_net_to_file(net, tmp_path / "net.svg", "TB", caffe.TEST)
    assert (tmp_path / "net.svg").read_bytes() == b"-Tsvg picture"
    assert draw.draw_net(net, "LR", "pdf") == b"-Tpdf picture"


def test_what_is_missing_is_named(net, tmp_path, monkeypatch):
    with pytest.raises(Error, match="extension, and .* has none: name it .png"):
        draw.draw_net_to_file(net, str(tmp_path / "net"))
    stub_dot(tmp_path, monkeypatch, "sys.stderr.write('Format foo not recognized'); sys.exit(1)")
    with pytest.raises(Error, match="could not draw the net as 'foo'"):
        draw.draw_net_to_file(net, str(tmp_path / "net.foo"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(Error, match="'dot' was not found: install Graphviz"):
        draw.draw_net(net, "LR")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(Error, match="pip install pydot"):
        draw.get_pydot_graph(net, "LR")
    assert not (tmp_path / "net.foo").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not on this machine")
def test_a_picture_by_graphviz(net):
    assert draw.draw_net(net, "LR").startswith(b"\x89PNG")
