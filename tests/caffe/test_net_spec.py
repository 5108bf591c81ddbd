"""NetSpec and coord_map: the same nets, values and errors as pycaffe's (make_net_spec.py)."""

import copy
import importlib.util
import json
from pathlib import Path

import pytest

from caffe.net_spec import NetSpec, assign_proto, to_proto
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text

FOLDER = Path(__file__).parent / "golden"
_spec = importlib.util.spec_from_file_location("make_net_spec", FOLDER / "make_net_spec.py")
make_net_spec = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_net_spec)
GOLDEN = json.loads((FOLDER / "net_spec.json").read_text())


def net(text):
    return parse_text(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize("name", sorted(make_net_spec.CASES))
def test_result_is_that_of_pycaffe(name):
    got, expected = make_net_spec.run(name), GOLDEN[name]
    assert set(got) == set(expected), got
    if "net" in expected:
        assert net(got["net"]) == net(expected["net"])
        assert net(got["net"]).layer
    elif "raises" in expected:
        assert expected["raises"][0] in got["raises"]
    else:
        compare(got["value"], expected["value"])


def compare(got, expected):
    """Equal, numbers but for the last digits (NumPy versions differ there)."""
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected):
            compare(one, other)
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, rel=1e-12)
    else:
        assert got == expected


def test_golden_covers_every_case():
    assert GOLDEN["engine"].startswith("BVLC Caffe")
    assert set(GOLDEN) - {"engine"} == set(make_net_spec.CASES)


def data():
    return L.Input(shape=dict(dim=[1, 3, 8, 8]))


@pytest.mark.parametrize(
    ("make", "kind", "parts"),
    [
        (
            lambda: L.Convolution(data(), kernel_sise=3, name="c1").to_proto(),
            AttributeError,
            ['layer "c1" (Convolution)', '"kernel_sise"', "Did you mean 'kernel_size'?"],
        ),
        (
            lambda: L.Convolution(data(), weight_filler=dict(typ="msra")).to_proto(),
            AttributeError,
            ['layer "Convolution1"', "FillerParameter. Did you mean 'type'?"],
        ),
        (
            lambda: L.Pooling(data(), pool="AVE").to_proto(),
            TypeError,
            ["PoolingParameter.pool takes an enum value such as params.Pooling.MAX, got 'AVE'"],
        ),
        (
            lambda: L.Pooling(data(), kernel_size=2.5).to_proto(),
            TypeError,
            ["PoolingParameter.kernel_size takes uint32, got 2.5 (float)"],
        ),
        (
            lambda: L.ReLU(data(), relu_param=3).to_proto(),
            TypeError,
            ["LayerParameter.relu_param takes a dict of ReLUParameter's fields, got 3 (int)"],
        ),
        (
            lambda: L.ReLU(data(), name=dict(a=3)).to_proto(),
            TypeError,
            ["LayerParameter.name takes string, got {'a': 3} (dict)"],
        ),
        (
            lambda: L.ReLU("data"),
            TypeError,
            ["ReLU input 0 is not a Top (type is <class 'str'>)"],
        ),
        (
            lambda: P.Pooling.AVG,
            AttributeError,
            ['no enum value "AVG" in PoolingParameter', "MAX, AVE, STOCHASTIC"],
        ),
        (lambda: P.Poling.MAX, AttributeError, ["Did you mean 'Pooling'?"]),
    ],
)
def test_errors_say_what_and_where(make, kind, parts):
    with pytest.raises(kind) as error:
        make()
    for part in parts:
        assert part in str(error.value)


def test_only_what_a_layer_made_can_be_named():
    n = NetSpec()
    with pytest.raises(TypeError, match="NetSpec.data must be made by a layer"):
        n.data = 3


def test_missing_names_behave_as_missing_attributes():
    n = NetSpec()
    assert not hasattr(n, "conv1")
    assert copy.copy(n).tops == {}
    with pytest.raises(KeyError):
        n["conv1"]


def test_a_net_may_be_deeper_than_the_recursion_limit():
    top = data()
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(to_proto(top).layer) == 3001


def test_assign_proto_keeps_what_is_there():
    layer = caffe_pb2.LayerParameter()
    assign_proto(layer, "bottom", ["a"])
    assign_proto(layer, "bottom", "b")
    assign_proto(layer, "pooling_param", dict(kernel_size=2))
    assign_proto(layer, "pooling_param", dict(stride=3))
    assert list(layer.bottom) == ["a", "b"]
    assert (layer.pooling_param.kernel_size, layer.pooling_param.stride) == (2, 3)
