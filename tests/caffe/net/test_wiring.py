"""Wiring: which blob feeds whom, who needs a backward pass, which parameters are shared.

Whole nets against BVLC Caffe: the golden cases "net ..."; here the graph itself.
"""

import pytest

from caffe.errors import PrototxtError, ShapeError
from caffe.net.wiring import AUTOMATIC, wire
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text

DATA = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "target" type: "Input" top: "t" input_param { shape { dim: 2 dim: 3 } } }
"""


def ip(name, bottom, top, more=""):
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {more} '
        "inner_product_param { num_output: 3 } }\n"
    )


def loss(bottom, more=""):
    return f'layer {{ name: "loss" type: "EuclideanLoss" bottom: "{bottom}" bottom: "t" {more} }}\n'


def graph_of(text, log=None):
    net = parse_text(DATA + text, caffe_pb2.NetParameter())
    net.state.phase = caffe_pb2.TRAIN
    return wire(net, log.append) if log is not None else wire(net)


def test_lists_are_aligned_by_layer_and_blob():
    graph = graph_of(ip("a", "x", "y") + loss("y", 'top: "loss"'))
    assert graph.layer_names == ["data", "target", "a", "loss"]
    assert graph.blob_names == ["x", "t", "y", "loss"]
    assert graph.bottoms == [[], [], [0], [2, 1]] and graph.tops == [[0], [1], [2], [3]]
    assert graph.inputs == [0, 1] and graph.outputs == [3]
    assert graph.loss_weights == [[0], [0], [0], [1]] and graph.blob_loss_weights == [0, 0, 0, 1]
    assert [b.dims for b in graph.blobs] == [(2, 3), (2, 3), (2, 3), ()]
    assert graph.memory == 4 * (6 + 6 + 6 + 1)


def test_outputs_are_in_alphabetical_order():
    graph = graph_of(ip("a", "x", "z") + ip("b", "t", "q"))
    assert [graph.blob_names[b] for b in graph.outputs] == ["q", "z"]


def test_a_top_in_place_is_its_bottoms_blob():
    relu = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }\n'
    log = []
    graph = graph_of(ip("a", "x", "y") + relu + loss("y"), log)
    assert graph.bottoms[3] == graph.tops[3] == [2] and "relu -> y (in-place)" in log
    assert graph.layers[3].in_place


def test_a_loss_without_a_top_gets_one():
    graph = graph_of(ip("a", "x", "y") + loss("y"))
    assert graph.blob_names[-1] == AUTOMATIC and graph.loss_weights[-1] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ip("a", "nowhere", "y"), "Unknown bottom blob 'nowhere' (layer 'a', bottom index 0)"),
        (ip("a", "x", "y") + ip("b", "x", "z"), "Unknown bottom blob 'x' (layer 'b'"),
        (ip("a", "x", "y") + ip("b", "t", "y"), "Top blob 'y' produced by multiple sources"),
        (ip("a", "x", "y", "propagate_down: [true, false]"), "propagate_down param must be"),
        (loss("x", "loss_weight: [1, 2]"), "loss_weight must be unspecified or specified once"),
        (ip("a", "x", "y", "param {} param {} param {}"), "Too many params specified: 3"),
    ],
)
def test_nets_that_cannot_be_wired(text, message):
    with pytest.raises(PrototxtError) as caught:
        graph_of(text)
    assert message in str(caught.value)


def test_backward_reaches_what_has_parameters_below_a_loss():
    graph = graph_of(ip("a", "x", "y") + ip("b", "y", "z") + loss("z"))
    assert graph.layer_needs_backward == [False, False, True, True, True]
    assert graph.bottom_needs_backward[2:] == [[False], [True], [True, False]]
    assert graph.param_needs_backward[2:4] == [[True, True]] * 2


def test_backward_stops_above_frozen_layers_and_beside_losses():
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    graph = graph_of(ip("a", "x", "y", frozen) + ip("b", "y", "z") + loss("z"))
    assert graph.layer_needs_backward == [False, False, False, True, True]
    assert graph.bottom_needs_backward[3] == [False]
    apart = graph_of(ip("a", "x", "y"))  # no loss depends on it
    assert apart.layer_needs_backward == [False, False, False]


def test_propagate_down_decides_for_the_bottoms_not_for_the_layer():
    graph = graph_of(ip("a", "x", "y") + ip("b", "y", "z", "propagate_down: false") + loss("z"))
    assert graph.bottom_needs_backward[3] == [False] and graph.layer_needs_backward[3]
    assert not graph.layer_needs_backward[2]  # nothing would reach it


def test_force_backward_asks_for_all_but_what_has_no_gradient():
    graph = graph_of("force_backward: true " + ip("a", "x", "y") + loss("y"))
    assert all(graph.layer_needs_backward)
    assert graph.bottom_needs_backward[2:] == [[True], [True, True]]


def test_parameters_of_one_name_are_one():
    shared = 'param { name: "w" } param { name: "b" lr_mult: 2 }'
    graph = graph_of(ip("a", "x", "y", shared) + ip("b", "y", "z", 'param { name: "w" }'))
    a, b = (graph.layers[i].blobs for i in (2, 3))
    assert a[0].data_storage is b[0].data_storage and a[1].data_storage is not b[1].data_storage
    assert [(p.layer, p.index) for p in graph.params] == [(2, 0), (2, 1), (3, 1)]
    assert graph.owned == {(2, 0), (2, 1), (3, 1)}
    assert [p.lr_mult for p in graph.params] == [None, 2, None]


def test_shared_parameters_must_fit_and_agree():
    one = ip("a", "x", "y", 'param { name: "w" lr_mult: 1 }')
    wide = ip("b", "y", "z", 'param { name: "w" }').replace("num_output: 3", "num_output: 4")
    with pytest.raises(ShapeError, match="share_mode: PERMISSIVE"):
        graph_of(one + wide)
    with pytest.raises(PrototxtError, match="mismatched lr_mult: 1 in layer 'a', 3 in layer 'b'"):
        graph_of(one + ip("b", "y", "z", 'param { name: "w" lr_mult: 3 }'))
