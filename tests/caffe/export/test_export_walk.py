"""Which layers are written, in which order, under which names."""

import numpy as np
import pytest
from exported_nets import CONV, metadata, run
from exporting import export, net_text

from caffe.export import ExportError, check


def test_nodes_are_named_by_layers_and_tensors_by_blobs(tmp_path):
    layers = [
        "name: 'conv' bottom: 'x0' top: 'feature' " + CONV,
        "name: 'relu' type: 'ReLU' bottom: 'feature' top: 'feature'",
        "name: 'drop' type: 'Dropout' bottom: 'feature' top: 'feature'",
        "name: 'prob' type: 'Softmax' bottom: 'feature' top: 'prob'",
    ]
    _, model, _ = export(tmp_path, layers, (1, 3, 5, 6))
    nodes = [(n.name, n.op_type, list(n.output)) for n in model.graph.node]
    assert nodes == [
        ("conv", "Conv", ["conv/Conv"]),
        ("relu", "Relu", ["feature"]),
        ("prob", "Softmax", ["prob"]),
    ]
    assert {i.name for i in model.graph.initializer} == {"conv.weight", "conv.bias"}
    assert model.opset_import[0].version == 13


def test_chosen_outputs_and_only_what_they_need(tmp_path):
    layers = [CONV, "type: 'ReLU'", "type: 'Python' python_param { module: 'm' layer: 'L' }"]
    text = net_text(layers[:2], (1, 3, 5, 5))
    (tmp_path / "two.prototxt").write_text(text)
    made, model, _ = export(tmp_path, layers[:2], (1, 3, 5, 5), outputs=["y0", "y1"])
    assert list(made.outputs) == ["y0", "y1"]
    made, model, _ = export(tmp_path, layers[:2], (1, 3, 5, 5), outputs=["y0"])
    assert [n.name for n in model.graph.node] == ["l0"]
    with pytest.raises(ExportError, match="no blob 'y'.*y0"):
        export(tmp_path, layers[:2], (1, 3, 5, 5), outputs=["y"])


def test_the_preprocessing_is_part_of_the_graph(tmp_path):
    image = np.random.RandomState(0).uniform(0, 255, (3, 7, 9)).astype(np.float32)
    made, model, net = export(
        tmp_path,
        ["name: 'conv' " + CONV],
        (1, 3, 5, 6),
        mean=(104, 117, 123),
        rgb=True,
        scale=0.5,
        images=[image],
    )
    assert made.proofs[1].what == "image 1"
    names = [n.name for n in model.graph.node]
    assert names == ["preprocessing/Gather", "preprocessing/Sub", "preprocessing", "conv"]
    assert "RGB to BGR" in metadata(model)["preprocessing"]
    x = np.random.RandomState(1).uniform(0, 255, (1, 3, 5, 6)).astype(np.float32)
    net.blobs["x0"].data[...] = (x[:, ::-1] - np.float32([104, 117, 123]).reshape(1, 3, 1, 1)) * 0.5
    right = net.forward()["y0"]
    assert check.difference(right, run(tmp_path / "net.onnx", x0=x)["y0"]) < 1e-5
    with pytest.raises(ExportError, match="one image input of 2 channels; the inputs are x0"):
        export(tmp_path, [CONV], (1, 3, 5, 6), mean=(1, 2))


def test_losses_are_cut_away_and_data_layers_become_inputs(tmp_path):
    layers = [
        "name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param { "
        "shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 } }",
        "name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'score' "
        "inner_product_param { num_output: 5 }",
        "name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'label' top: 'loss'",
        "name: 'accuracy' type: 'Accuracy' bottom: 'score' bottom: 'label' top: 'accuracy'",
    ]
    made, model, _ = export(tmp_path, layers, outputs=())
    assert list(made.inputs) == ["data"] and list(made.outputs) == ["score"]
    assert any("'loss' (type SoftmaxWithLoss) is left out" in note for note in made.notes)
    assert any("'accuracy' (type Accuracy) is left out" in note for note in made.notes)
    with pytest.raises(ExportError, match="'loss' is computed by layer 'loss'"):
        export(tmp_path, layers, outputs=["loss"])


def test_what_reads_a_loss_is_cut_away_with_it(tmp_path):
    layers = [
        "name: 'fc' type: 'InnerProduct' bottom: 'x0' top: 'score' "
        "inner_product_param { num_output: 5 }",
        "name: 'loss' type: 'EuclideanLoss' bottom: 'score' bottom: 'x1' top: 'loss'",
        "name: 'twice' type: 'Power' bottom: 'loss' top: 'twice' power_param { scale: 2 }",
    ]
    made, _, _ = export(tmp_path, layers, (2, 3), (2, 5))
    assert list(made.inputs) == ["x0"] and list(made.outputs) == ["score"]
    with pytest.raises(ExportError, match="'twice' is computed by layer 'twice'"):
        export(tmp_path, layers, (2, 3), (2, 5), outputs=["twice"])


def test_the_pad_of_a_kernel_of_one_pixel_is_a_node(tmp_path):
    """OpenVINO and ONNX Runtime read it either way; OpenCV 5.0 forgets it inside Conv."""
    conv = "type: 'Convolution' convolution_param { num_output: 4 kernel_size: 1 pad: 1 }"
    _, model, _ = export(tmp_path, [conv], (1, 3, 5, 5))
    assert [node.op_type for node in model.graph.node] == ["Pad", "Conv"]


def test_shared_weights_are_stored_once(tmp_path):
    conv = CONV.replace("num_output: 4", "num_output: 3")
    conv += " param { name: 'w' } param { name: 'b' }"
    layers = [f"name: 'l{i}' {conv}" for i in range(2)]
    _, model, _ = export(tmp_path, layers, (1, 3, 5, 5))
    assert [i.name for i in model.graph.initializer] == ["l0.weight", "l0.bias"]


def test_layers_of_one_name(tmp_path):
    layers = [
        "name: 'same' type: 'TanH' bottom: 'x0' top: 'a'",
        "name: 'same' type: 'AbsVal' bottom: 'a' top: 'b'",
    ]
    _, model, _ = export(tmp_path, layers, (2, 3))
    assert [n.name for n in model.graph.node] == ["same", "same_2"]


def test_an_output_written_in_place_over_an_input_gets_another_name(tmp_path):
    made, _, _ = export(tmp_path, ["type: 'ReLU' bottom: 'x0' top: 'x0'"], (2, 3))
    assert list(made.outputs) == ["x0_out"]
    assert "an input has its name" in made.notes[0]
