"""Which layers make a group, and what their weights become."""

import numpy as np
import pytest

import caffe
from caffe.kernels.fused import NONE, Activation
from caffe.net import folding
from caffe.net.folding import fold, group_at

DATA = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: 4 dim: 5 dim: 5 } } }"
)
CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    'convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }'
)


def layer(kind, settings="", bottom="c", top="c"):
    named = "".join(f'bottom: "{b}" ' for b in bottom.split())
    return f'layer {{ name: "{kind}" type: "{kind}" {named} top: "{top}" {settings} }}'


def graph_of(tmp_path, *layers, phase=caffe.TEST):
    path = tmp_path / "net.prototxt"
    path.write_text(DATA + CONV + "".join(layers))
    return caffe.Net(str(path), phase)._graph


RELU = layer("ReLU")
SUM = layer("Eltwise", bottom="c data", top="sum")
# The layers after a convolution -> how many of them are in its group.
CASES = {
    "nothing": ([], 0),
    "relu": ([RELU], 1),
    "all": ([layer("BatchNorm"), layer("Scale"), layer("Bias"), RELU], 4),
    "one activation": ([RELU, layer("TanH")], 1),
    "nothing affine after an activation": ([RELU, layer("Scale")], 1),
    "statistics of the batch": (
        [layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), RELU],
        0,
    ),
    "a scale of one number": ([layer("Scale", "scale_param { num_axes: 0 }")], 0),
    "a scale of another axis": ([layer("Scale", "scale_param { axis: 2 }")], 0),
    "two blobs multiplied": ([layer("Scale", "scale_param { axis: 0 }", "c data", "s")], 0),
    "clip": ([layer("Clip", "clip_param { min: 0 max: 6 }")], 1),
    "an empty clip": ([layer("Clip", "clip_param { min: 1 max: 0 }")], 0),
    "relu6": ([layer("ReLU6")], 1),
    "prelu": ([layer("PReLU")], 1),
    "a product": ([layer("Eltwise", "eltwise_param { operation: PROD }", "c data", "p")], 0),
    "a weighted sum": (
        [layer("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", "c data", "d")],
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_belongs_to_a_group(tmp_path, name):
    layers, expected = CASES[name]
    graph = graph_of(tmp_path, *layers)
    first = graph.layer_names.index("c")
    assert group_at(graph, first).end - first - 1 == expected


def test_im2col_begins_no_group(tmp_path):
    """It is a Convolution to the engine, and has no weights that could be folded."""
    columns = layer("Im2col", "convolution_param { kernel_size: 3 }", "data", "columns")
    net = graph_of(tmp_path, columns, layer("ReLU", "", "columns", "columns"))
    index = net.layer_names.index("Im2col")
    assert group_at(net, index) is None


def test_a_sum_needs_a_split_input_and_its_relu_in_place(tmp_path):
    for relu, inside in ((layer("ReLU", bottom="sum", top="sum"), 2), (RELU, 1)):
        relu = relu if inside == 2 else layer("ReLU", bottom="sum", top="r")
        graph = graph_of(tmp_path, SUM, relu)
        first = graph.layer_names.index("c")
        group = group_at(graph, first)
        assert group.end - first - 1 == inside
        assert graph.blob_names[group.other].startswith("data")
        assert group.activation == (Activation("relu") if inside == 2 else NONE)
        assert [graph.blob_names[b] for b in group.hidden] == ["c"]


def test_no_group_in_training_or_where_a_backward_pass_comes(tmp_path):
    assert group_at(graph_of(tmp_path, RELU, phase=caffe.TRAIN), 1) is None
    assert group_at(graph_of(tmp_path, layer("ReLU", "loss_weight: 1", top="r")), 1) is None
    path = tmp_path / "forced.prototxt"
    path.write_text("force_backward: true\n" + DATA + CONV)
    assert group_at(caffe.Net(str(path), caffe.TEST)._graph, 1) is None


@pytest.mark.cpu_only
def test_the_folded_weights(tmp_path):
    """y = ((w x + b - m / n) / sqrt(v / n + eps)) s + t + u"""
    scale = layer("Scale", "scale_param { bias_term: true }")
    graph = graph_of(tmp_path, layer("BatchNorm"), scale, layer("Bias"))
    numbers = np.random.RandomState(3)
    for one in graph.layers:
        for blob in one.blobs:
            blob.data[...] = numbers.rand(*blob.data.shape) + 0.5
    first = graph.layer_names.index("c")
    group = group_at(graph, first)
    found = fold(graph.layers[first], group.affine)
    (w, b), (m, v, n), (s, t), (u,) = (
        [blob.data.astype(np.float64) for blob in one.blobs] for one in graph.layers[first:]
    )
    factor = s / np.sqrt(v / n + graph.layers[first + 1].eps)
    np.testing.assert_allclose(found.weight, w * factor[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(found.bias, (b - m / n) * factor + t + u, rtol=1e-5)


def test_large_weights_are_not_packed_a_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr(folding, "_MOST_WEIGHTS", 16)  # the convolution's are 16
    graph = graph_of(tmp_path, RELU)
    assert group_at(graph, graph.layer_names.index("c")) is None
