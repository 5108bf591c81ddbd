"""The tools that upgrade prototxts."""

import pytest
from brew_files import call, messages
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from caffe.tools import upgrade

pytestmark = pytest.mark.usefixtures("brew_folder")


V1 = """name: "old" input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { name: "r" type: RELU bottom: "x" top: "y" }"""


def test_upgrade_net_text_and_binary(brew_folder, capfd):
    (brew_folder / "old").write_text(V1)
    assert upgrade.net_proto_text(["old", "new"]) == 0
    new = text_format.Parse((brew_folder / "new").read_text(), caffe_pb2.NetParameter())
    assert [layer.type for layer in new.layer] == ["Input", "ReLU"] and not new.layers
    assert messages(capfd)[-1] == "Wrote upgraded NetParameter text proto to new"
    old = text_format.Parse(V1, caffe_pb2.NetParameter())
    (brew_folder / "old.bin").write_bytes(old.SerializeToString())
    assert upgrade.net_proto_binary(["old.bin", "new.bin"]) == 0
    assert caffe_pb2.NetParameter.FromString((brew_folder / "new.bin").read_bytes()) == new
    capfd.readouterr()
    assert upgrade.net_proto_text(["new", "again"]) == 0
    assert messages(capfd) == [
        "File already in latest proto format: new",
        "Wrote upgraded NetParameter text proto to again",
    ]


def test_upgrade_solver_changes_the_type_alone(brew_folder):
    (brew_folder / "old").write_text('net: "x" solver_type: ADAGRAD')
    assert upgrade.solver_proto_text(["old", "new"]) == 0
    new = text_format.Parse((brew_folder / "new").read_text(), caffe_pb2.SolverParameter())
    assert new == caffe_pb2.SolverParameter(net="x", type="AdaGrad")


def test_an_upgrade_that_drops_a_field_is_written_and_gives_1(brew_folder, capfd):
    (brew_folder / "old").write_text(
        'layers { layer { name: "r" type: "relu" stride: 2 } top: "y" }'
    )
    assert upgrade.net_proto_text(["old", "new"]) == 1
    lines = messages(capfd)
    assert any(line.endswith("Unknown parameter stride for layer type relu") for line in lines)
    assert "Encountered error(s) while upgrading prototxt; see details above." in lines
    assert 'type: "ReLU"' in (brew_folder / "new").read_text()


def test_upgrade_statuses(brew_folder, capfd):
    (brew_folder / "bad").write_text("layer {")
    (brew_folder / "mixed").write_text('layers { name: "a" type: RELU } layer { name: "b" }')
    (brew_folder / "bad.bin").write_bytes(b"\x0a\xff")
    assert upgrade.net_proto_text(["one"]) == 1
    assert messages(capfd)[-1].startswith("Usage: upgrade_net_proto_text ")
    assert upgrade.net_proto_text(["bad", "out"]) == 2
    assert messages(capfd)[-1].startswith("Failed to parse input text file as NetParameter: bad")
    assert upgrade.net_proto_binary(["bad.bin", "out"]) == 2
    assert upgrade.net_proto_text(["mixed", "out"]) == 1
    assert not (brew_folder / "out").exists()


def test_help_of_the_upgrade_tools(capfd):
    assert call("upgrade_net_proto_text -help") == 0
    assert "Usage: upgrade_net_proto_text [--fix-crops] " in capfd.readouterr().out
