"""Old formats, against what BVLC Caffe's own upgrade functions make of them (make_upgrade.py)."""

import importlib.util
import json
from pathlib import Path

import pytest

from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text, read_net, read_solver
from caffe.prototxt.upgrade import upgrade_net

FOLDER = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("make_upgrade", FOLDER / "make_upgrade.py")
make_upgrade = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_upgrade)
GOLDEN = json.loads((FOLDER / "upgrade.json").read_text())

# BVLC loses layers here without a word.
REFUSED_HERE = {"net: v0 and v1 mixed", "net: v0 and v2 mixed"}

KINDS = {
    "net": (make_upgrade.NET_CASES, read_net, caffe_pb2.NetParameter),
    "solver": (make_upgrade.SOLVER_CASES, read_solver, caffe_pb2.SolverParameter),
}
CASES = [(kind, name) for kind, (cases, _, _) in KINDS.items() for name in cases]


def without_empty(message):
    """Clears sub-messages that are present but empty (BVLC adds some): they say nothing."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if hasattr(value, "extend") else [value]:
            without_empty(item)
        if not hasattr(value, "extend") and not value.ListFields():
            message.ClearField(field.name)
    return message


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{k}: {n}" for k, n in CASES])
def test_result_is_that_of_bvlc_caffe(kind, name, tmp_path, monkeypatch):
    cases, read, message = KINDS[kind]
    for folder in ("sub", "folder"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    Path(make_upgrade.NAMES[kind]).write_text(cases[name])
    expected = GOLDEN[f"{kind}: {name}"]
    if "aborts" in expected or f"{kind}: {name}" in REFUSED_HERE:
        with pytest.raises(PrototxtError, match=make_upgrade.NAMES[kind]):
            read(make_upgrade.NAMES[kind])
    else:
        got = read(make_upgrade.NAMES[kind])
        assert without_empty(got) == without_empty(parse_text(expected["text"], message()))


def test_golden_covers_every_case():
    assert GOLDEN["engine"].startswith("BVLC Caffe")
    assert set(GOLDEN) - {"engine"} == {f"{kind}: {name}" for kind, name in CASES}


@pytest.mark.parametrize("name", ["v0 every type", "v1 every field", "input_dim", "batch norm"])
def test_upgrading_twice_changes_nothing(name):
    net = parse_text(make_upgrade.NET_CASES[name], caffe_pb2.NetParameter())
    upgrade_net(net)
    once = net.SerializeToString(deterministic=True)
    upgrade_net(net)
    assert net.SerializeToString(deterministic=True) == once


def test_fields_that_v0_cannot_place_are_logged(monkeypatch, capsys):
    monkeypatch.setattr("caffe.glog._state.level", 2)
    net = parse_text('layers { layer { name: "r" type: "relu" pad: 3 } }', caffe_pb2.NetParameter())
    upgrade_net(net, "old.prototxt")
    assert 'old.prototxt: layer "r": Unknown parameter pad for layer type relu' in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('input: "x" input_dim: 1 input_dim: 2', "1 input, but 2 input_dim; write four for each"),
        ('input: "x" input: "y" input_shape { dim: 1 }', "2 input, but 1 input_shape"),
        ('layers { layer { name: "r" type: "prelu" } }', "Unknown layer name: 'prelu'"),
        ('layers { name: "r" } layer { name: "s" }', '(old, first: "r") and `layer`'),
    ],
)
def test_errors_name_file_and_reason(text, complaint):
    net = parse_text(text, caffe_pb2.NetParameter())
    with pytest.raises(PrototxtError) as error:
        upgrade_net(net, "some/net.prototxt")
    assert "some/net.prototxt" in str(error.value)
    assert complaint in str(error.value)
