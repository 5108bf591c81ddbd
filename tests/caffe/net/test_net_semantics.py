"""How nets are built and run: each rule on a small net, against BVLC (make_net_semantics.py)."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.errors import Error

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location(
    "make_net_semantics", FOLDER / "make_net_semantics.py"
)
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)
# The results of BVLC Caffe: the stored ones, or those of a comparison that has just run it.
GOLDEN = json.loads(
    Path(os.environ.get("NET_SEMANTICS", FOLDER / "net_semantics.json")).read_text()
)

# Where the two differ, and why.
REFUSED = {"a stored blob of another size": "BVLC computes beyond the parameter's end"}
ACCEPTED = {"two weights for two tops": "BVLC's inner Softmax counts the weights of both tops"}
# BVLC keeps the axes that are stored, the engine those that the layer's arithmetic has.
RESHAPED = {"parameters stored with legacy axes"}
CASES = [name for name in made.NETS if name not in {**REFUSED, **ACCEPTED}]


def run(name, folder):
    """As `describe`, with the stage at which the engine raises."""
    reached = ["building"]
    try:
        return made.describe(*made.NETS[name], str(folder), lambda at, out: reached.append(at))
    except Error as error:
        assert type(error) is not Error and len(str(error)) > 20
        return {"fails": reached[-1], "error": error}


def compare(where, got, expected):
    if isinstance(expected, dict):
        assert set(got) == set(expected), where
        for key in expected:
            compare(f"{where}/{key}", got[key], expected[key])
    elif isinstance(expected, list) and expected and isinstance(expected[0], float):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 + 1e-4 * scale, err_msg=where)
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for i, (one, other) in enumerate(zip(got, expected)):
            compare(f"{where}/{i}", one, other)
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-5), where
    else:
        assert got == expected, where


def test_golden_covers_every_case():
    assert GOLDEN["engine"].startswith("BVLC Caffe")
    assert set(GOLDEN) - {"engine"} == set(made.NETS)
    assert not any("raises" in result for result in GOLDEN.values())


@pytest.mark.parametrize("name", CASES)
def test_a_net_is_what_bvlc_caffe_makes_of_it(name, tmp_path, device):
    got, expected = run(name, tmp_path), GOLDEN[name]
    if "fails" in expected:
        assert got.get("fails") == expected["fails"]
        assert "net.prototxt" in str(got["error"]) or "layer '" in str(got["error"])
    else:
        assert "error" not in got, got["error"]
        if name in RESHAPED:
            assert got.pop("params") == [["a", [[1, 3]]]]
            expected = {key: value for key, value in expected.items() if key != "params"}
        compare(name, got, expected)


def test_other_nets_stay_usable_after_every_failure(tmp_path):
    """One net before all failures runs the same after each of them, and so does a new one."""
    good = "shared parameters"
    path = tmp_path / "good.prototxt"
    path.write_text(made.NETS[good][0])
    net = caffe.Net(str(path), caffe.TRAIN)
    for blobs in net.params.values():
        blobs[0].data[...] = made.values("w", blobs[0].data.shape)
    inputs = {name: made.values(name, net.blobs[name].data.shape) for name in net.inputs}
    before = net.forward(**inputs)["loss"].copy()
    failing = [name for name in CASES if "fails" in GOLDEN[name]]
    assert len(failing) > 25
    for name in failing:
        assert "error" in run(name, tmp_path)
        assert net.forward(**inputs)["loss"] == before
    compare(good, run(good, tmp_path), GOLDEN[good])


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_here_gives_what_its_parts_do(name, tmp_path):
    assert GOLDEN[name] == {"fails": "building"}, "BVLC takes it too: compare with it"
    got, plain = run(name, tmp_path), GOLDEN["a loss with a weight that is read"]
    assert got["first loss"] == pytest.approx(2 * plain["first data"]["loss"][0], rel=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_here_names_the_layer(name, tmp_path):
    assert "fails" not in GOLDEN[name], "BVLC refuses it too: no exception is needed"
    assert "layer 'a'" in str(run(name, tmp_path)["error"])
