"""to_onnx as a whole: sizes, outputs, preprocessing, proof, metadata, what is cut and refused."""

import numpy as np
import onnxruntime
import pytest
from exporting import export, fill, net_text, onnx

import caffe
from caffe.export import ExportError, check, table, to_onnx
from caffe.export import model as model_file
from caffe.export.graph import Graph

CONV = "type: 'Convolution' convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def metadata(model):
    return {entry.key: entry.value for entry in model.metadata_props}


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


def test_free_sizes_have_names_and_fixed_ones_numbers(tmp_path):
    made, model, _ = export(
        tmp_path,
        [CONV, "type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 }"],
        (1, 3, 8, 6),
        dynamic=["batch", "width"],
    )
    assert made.inputs == {"x0": ["batch", 3, 8, "width"]}
    assert made.outputs == {"y1": ["batch", 4, 4, "y1_3"]}
    assert len(made.proofs) == 2 and made.proofs[1].shapes["x0"][0] == 2
    x = np.ones((3, 3, 8, 11), np.float32)
    assert run(tmp_path / "net.onnx", x0=x)["y1"].shape == (3, 4, 4, 6)


def test_what_cannot_be_free_stays_fixed_and_the_layer_is_named(tmp_path):
    layers = [CONV, "name: 'fc' type: 'InnerProduct' inner_product_param { num_output: 2 }"]
    made, _, _ = export(tmp_path, layers, (1, 3, 8, 6), dynamic=True)
    assert made.inputs == {"x0": ["batch", 3, 8, 6]}
    assert [note.split(":")[0] for note in made.notes] == [
        "height stays fixed",
        "width stays fixed",
    ]
    assert all("layer 'fc' (type InnerProduct)" in note for note in made.notes)
    with pytest.raises(ExportError, match="height cannot be dynamic: layer 'fc'"):
        export(tmp_path, layers, (1, 3, 8, 6), dynamic=["height"])


def test_a_layer_whose_windows_follow_from_the_size_keeps_it_fixed(tmp_path):
    layers = ["name: 'spp' type: 'SPP' spp_param { pyramid_height: 2 }"]
    made, _, _ = export(tmp_path, layers, (1, 3, 8, 6), dynamic=True)
    assert made.inputs == {"x0": ["batch", 3, 8, 6]}
    assert "layer 'spp' (type SPP)" in made.notes[0]
    with pytest.raises(ExportError, match="width cannot be dynamic: layer 'spp'"):
        export(tmp_path, layers, (1, 3, 8, 6), dynamic=["width"])


def test_crop_against_a_free_size_and_a_net_of_skips(tmp_path):
    """FCN's form: padded far, pooled with rounding up, upsampled, cropped to the image."""
    layers = [
        "name: 'conv' bottom: 'x0' top: 'conv' type: 'Convolution' convolution_param { "
        "num_output: 4 kernel_size: 3 pad: 20 }",
        "name: 'p1' bottom: 'conv' top: 'p1' type: 'Pooling' pooling_param { kernel_size: 2 "
        "stride: 2 }",
        "name: 'p2' bottom: 'p1' top: 'p2' type: 'Pooling' pooling_param { kernel_size: 3 "
        "stride: 2 pad: 1 pool: AVE }",
        "name: 'up' bottom: 'p2' top: 'up' type: 'Deconvolution' convolution_param { "
        "num_output: 4 kernel_size: 4 stride: 2 }",
        "name: 'c1' bottom: 'p1' bottom: 'up' top: 'c1' type: 'Crop' crop_param { offset: 0 }",
        "name: 'up2' bottom: 'up' top: 'up2' type: 'Deconvolution' convolution_param { "
        "num_output: 2 kernel_size: 4 stride: 2 }",
        "name: 'score' bottom: 'up2' bottom: 'x0' top: 'score' type: 'Crop' "
        "crop_param { offset: 11 }",
    ]
    layers = [layer for layer in layers if "'c1'" not in layer]
    export(tmp_path, layers, (1, 3, 16, 12), dynamic=True)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "net.caffemodel"))
    for height, width in ((1, 1), (5, 31), (17, 12), (23, 40)):
        x = np.random.RandomState(height).standard_normal((2, 3, height, width)).astype("f")
        net.blobs["x0"].reshape(*x.shape)
        net.blobs["x0"].data[...] = x
        right = net.forward()["score"]
        got = run(tmp_path / "net.onnx", x0=x)["score"]
        assert check.difference(right, got) < 1e-5


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


def test_a_data_layer_without_its_file_wants_a_shape(tmp_path):
    layers = [
        "name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: 'no/such' "
        "batch_size: 2 }",
        "name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'score' "
        "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }",
    ]
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(layers))
    with pytest.raises(ExportError, match="layer 'data'.*--shape data=1,3,224,224"):
        to_onnx(path, None, tmp_path / "net.onnx")
    shapes = {"data": (2, 3, 4, 4), "label": (2,)}
    made = to_onnx(path, None, tmp_path / "net.onnx", shapes=shapes)
    assert made.inputs == {"data": [2, 3, 4, 4]}
    with pytest.raises(ExportError, match="'date', which no data layer makes.*data"):
        to_onnx(path, None, tmp_path / "net.onnx", shapes={"date": (1,)})


def test_a_python_layer_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "doubling.py").write_text(
        "import caffe\n"
        "class Double(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data\n"
        "    def backward(self, top, propagate_down, bottom): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    layers = [
        CONV,
        "name: 'mine' type: 'Python' python_param { module: 'doubling' layer: 'Double' }",
    ]
    with pytest.raises(
        ExportError, match=r"layer 'mine' \(type Python\) cannot be exported: its code"
    ):
        export(tmp_path, layers, (1, 3, 5, 5))
    assert not (tmp_path / "net.onnx").exists()
    export(tmp_path, layers, (1, 3, 5, 5), outputs=["y0"])


def test_a_wrong_graph_is_not_written_and_the_layer_is_named(tmp_path, monkeypatch):
    wrong = dict(table._writers)
    wrong["TanH"] = lambda g, layer, bottoms: [g.node("Sigmoid", bottoms[0].name)]
    monkeypatch.setattr(table, "_writers", wrong)
    layers = [CONV, "name: 'odd' type: 'TanH'", "type: 'AbsVal'", CONV]
    (tmp_path / "net.onnx").write_bytes(b"earlier")
    with pytest.raises(ExportError, match=r"first layer that differs is 'odd' \(type TanH\), by"):
        export(tmp_path, layers, (1, 3, 5, 5))
    assert (tmp_path / "net.onnx").read_bytes() == b"earlier"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"net.onnx", "net.prototxt", "net.caffemodel"}
    made, model, _ = export(tmp_path, layers, (1, 3, 5, 5), check=False)
    assert made.proofs == []
    assert metadata(model)["checked"].startswith("no")


def test_the_proof_is_part_of_the_file(tmp_path):
    _, model, _ = export(tmp_path, [CONV], (1, 3, 5, 5))
    said = metadata(model)
    assert said["source"] == "net.prototxt" and said["weights"] == "net.caffemodel"
    assert said["checked"].startswith("ONNX Runtime ")


def test_weights_of_16_bits(tmp_path):
    layers = [CONV, "type: 'BatchNorm'", "type: 'ReLU'", CONV]
    full, _, _ = export(tmp_path, layers, (1, 3, 9, 9))
    made, model, net = export(tmp_path, layers, (1, 3, 9, 9), half=True)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert kinds["l0.weight/half"] == onnx.TensorProto.FLOAT16
    assert kinds["l1/mean"] == onnx.TensorProto.FLOAT
    assert 1e-6 < made.half["y3"] < 1e-2
    x = np.random.RandomState(1).standard_normal((1, 3, 9, 9)).astype(np.float32)
    net.blobs["x0"].data[...] = x
    moved = check.difference(net.forward()["y3"], run(tmp_path / "net.onnx", x0=x)["y3"])
    assert 1e-6 < moved < 1e-2
    net.params["l0"][0].data[0, 0, 0, 0] = 1e6
    net.save(str(tmp_path / "large.caffemodel"))
    with pytest.raises(ExportError, match="layer 'l0': blob 0 holds values above 65504"):
        to_onnx(tmp_path / "net.prototxt", tmp_path / "large.caffemodel", tmp_path / "a", half=True)


def test_a_net_object_keeps_its_shapes_and_numbers(tmp_path):
    (tmp_path / "net.prototxt").write_text(net_text([CONV, "type: 'ReLU'"], (1, 3, 5, 5)))
    net = fill(caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST))
    before = net.params["l0"][0].data.copy()
    made = to_onnx(net, None, tmp_path / "net.onnx", dynamic=True, half=True)
    assert made.outputs == {"y1": ["batch", 4, "height", "width"]}
    assert net.blobs["x0"].data.shape == (1, 3, 5, 5)
    assert np.array_equal(net.params["l0"][0].data, before)
    net.blobs["x0"].reshape(2, 3, 7, 4)
    made = to_onnx(net, None, tmp_path / "net.onnx")
    assert made.outputs == {"y1": [2, 4, 7, 4]}  # as it is now
    train = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    with pytest.raises(ExportError, match="the export is of a net in TEST"):
        to_onnx(train, None, tmp_path / "net.onnx")


def test_a_graph_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_LARGEST", 1000)
    with pytest.raises(ExportError, match="more than the 2 GB.*--half"):
        export(tmp_path, [CONV, CONV], (1, 3, 5, 5))
    assert not (tmp_path / "net.onnx").exists()


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


def test_difference():
    a = np.array([1.0, -4.0, np.nan, np.inf], np.float32)
    assert check.difference(a, a.copy()) == 0
    assert check.difference(a, a + np.float32(1)) == 0.25
    assert check.difference(a, np.array([1, -4, 0, np.inf], np.float32)) == np.inf
    assert check.difference(a, np.array([1, -4, np.nan, -np.inf], np.float32)) == np.inf
    assert check.difference(a, a[:3]) == np.inf
    assert check.difference(np.zeros(3), np.zeros(3)) == 0
    assert check.difference(np.zeros(3), np.ones(3)) == np.inf


def test_sizes_are_folded_where_they_are_numbers():
    g = Graph()
    assert g.plus(2, 3) == 5 and g.times(2, 3) == 6 and g.divide(7, 2) == 3
    assert g.minus(7, 2) == 5 and g.larger(7, 2) == 7
    assert g.nodes == []
