"""Scripts as people published them for pycaffe, unchanged in what they call, on small nets.

The file uses the public interface alone: with pytest it runs on BVLC Caffe as well.
"""

import json
import os
import sys

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffe
from caffe import layers as L
from caffe import params as P

LAYERS = '''
import json

import caffe
import numpy as np


class EuclideanLossLayer(caffe.Layer):
    """The example of a loss written in Python."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            sign = 1 if i == 0 else -1
            bottom[i].diff[...] = sign * self.diff / bottom[i].num


class Digits(caffe.Layer):
    """A data layer: noisy bars, one place for each of the classes."""

    def setup(self, bottom, top):
        settings = json.loads(self.param_str)
        self.batch = settings["batch_size"]
        self.random = np.random.RandomState(settings["seed"])
        self.served = 0

    def reshape(self, bottom, top):
        top[0].reshape(self.batch, 1, 28, 28)
        top[1].reshape(self.batch)

    def forward(self, bottom, top):
        labels = self.random.randint(0, 10, self.batch)
        images = self.random.rand(self.batch, 1, 28, 28) * 0.2
        for n, label in enumerate(labels):
            images[n, 0, :, 2 * label : 2 * label + 4] += 0.8
        top[0].data[...] = images
        top[1].data[...] = labels
        self.served += 1

    def backward(self, top, propagate_down, bottom):
        pass
'''


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A directory of one's own with the user's module in it, as scripts have it."""
    (tmp_path / "script_layers.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("script_layers", None)


def lenet(batch_size, seed):
    n = caffe.NetSpec()
    n.data, n.label = L.Python(
        module="script_layers",
        layer="Digits",
        param_str=json.dumps({"batch_size": batch_size, "seed": seed}),
        ntop=2,
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=6, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.conv2 = L.Convolution(n.pool1, kernel_size=5, num_output=8, weight_filler=dict(type="xavier"))
    n.pool2 = L.Pooling(n.conv2, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.fc1 = L.InnerProduct(n.pool2, num_output=32, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.fc1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


@pytest.fixture
def solver():
    for phase, batch, seed in (("train", 16, 1), ("test", 20, 2)):
        with open(f"lenet_auto_{phase}.prototxt", "w") as f:
            f.write(str(lenet(batch, seed)))
    with open("lenet_auto_solver.prototxt", "w") as f:
        f.write(
            'train_net: "lenet_auto_train.prototxt"\ntest_net: "lenet_auto_test.prototxt"\n'
            "test_iter: 2\ntest_interval: 500\nbase_lr: 0.01\nmomentum: 0.9\n"
            'weight_decay: 0.0005\nlr_policy: "inv"\ngamma: 0.0001\npower: 0.75\ndisplay: 100\n'
            'max_iter: 10000\nsnapshot: 5000\nsnapshot_prefix: "lenet"\nrandom_seed: 3\n'
        )
    caffe.set_mode_cpu()
    return caffe.SGDSolver("lenet_auto_solver.prototxt")


@pytest.mark.slow
def test_learning_lenet(solver):
    """The notebook "Learning LeNet": shapes, a step, a hand-written loop with its own test."""
    shapes = [(k, v.data.shape) for k, v in solver.net.blobs.items()]
    assert ("conv1", (16, 6, 24, 24)) in shapes
    assert [(k, v[0].data.shape) for k, v in solver.net.params.items()] == [
        ("conv1", (6, 1, 5, 5)),
        ("conv2", (8, 6, 5, 5)),
        ("fc1", (32, 128)),
        ("score", (10, 32)),
    ]
    solver.net.forward()
    first = solver.test_nets[0].forward()
    assert first["loss"] == pytest.approx(2.3, abs=1)
    picture = solver.net.blobs["data"].data[:8, 0].transpose(1, 0, 2).reshape(28, 8 * 28)
    assert picture.shape == (28, 224)

    solver.step(1)
    gradient = solver.net.params["conv1"][0].diff[:, 0].reshape(3, 2, 5, 5)
    assert np.abs(gradient).max() > 0

    niter, test_interval = 60, 30
    train_loss = np.zeros(niter)
    test_acc = np.zeros(int(np.ceil(niter / test_interval)))
    output = np.zeros((niter, 8, 10))
    for it in range(niter):
        solver.step(1)
        train_loss[it] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="conv1")
        output[it] = solver.test_nets[0].blobs["score"].data[:8]
        if it % test_interval == 0:
            correct = 0
            for _ in range(5):
                solver.test_nets[0].forward()
                correct += sum(
                    solver.test_nets[0].blobs["score"].data.argmax(1)
                    == solver.test_nets[0].blobs["label"].data
                )
            test_acc[it // test_interval] = correct / 100.0
    assert train_loss[-5:].mean() < 0.3 * train_loss[:5].mean()
    assert test_acc[-1] > 0.8 and not np.array_equal(output[0], output[-1])
    assert solver.iter == niter + 1 and solver.net.layers[0].served >= niter


def test_save_and_deploy(solver):
    """A trained net, saved and loaded for testing, gives the scores it had."""
    solver.step(2)
    solver.net.forward()
    solver.net.save("lenet.caffemodel")
    deploy = caffe.proto.caffe_pb2.NetParameter()
    with open("lenet_auto_test.prototxt") as f:
        text_format.Merge(f.read(), deploy)
    kept = [layer for layer in deploy.layer if layer.type not in ("Python", "SoftmaxWithLoss")]
    del deploy.layer[:]
    deploy.input.append("data")
    deploy.input_shape.add().dim.extend([1, 1, 28, 28])
    deploy.layer.extend(kept)
    with open("deploy.prototxt", "w") as f:
        f.write(text_format.MessageToString(deploy))

    net = caffe.Net("deploy.prototxt", "lenet.caffemodel", caffe.TEST)
    net.blobs["data"].reshape(*solver.net.blobs["data"].data.shape)
    net.reshape()
    net.blobs["data"].data[...] = solver.net.blobs["data"].data
    out = net.forward()
    assert np.allclose(out["score"], solver.net.blobs["score"].data, atol=1e-5)
    assert np.allclose(net.forward_all(data=net.blobs["data"].data)["score"], out["score"])
    by_keyword = caffe.Net("deploy.prototxt", caffe.TEST, weights="lenet.caffemodel")
    assert all(
        np.array_equal(by_keyword.params[k][i].data, net.params[k][i].data)
        for k in net.params
        for i in (0, 1)
    )


def test_net_surgery():
    """The notebook "Net surgery": a classifier's inner product becomes a convolution by .flat."""
    filler = dict(weight_filler=dict(type="gaussian", std=0.3), bias_filler=dict(type="uniform"))
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 2, 8, 8]))
    n.fc = L.InnerProduct(n.data, num_output=5, **filler)
    n.prob = L.Softmax(n.fc)
    f = caffe.NetSpec()
    f.data = L.Input(shape=dict(dim=[1, 2, 8, 8]))
    setattr(f, "fc-conv", L.Convolution(f.data, kernel_size=8, num_output=5))
    f.prob = L.Softmax(f["fc-conv"])
    for name, spec in (("fc.prototxt", n), ("conv.prototxt", f)):
        with open(name, "w") as file:
            file.write(str(spec.to_proto()))
    net = caffe.Net("fc.prototxt", caffe.TEST)
    full_conv = caffe.Net("conv.prototxt", caffe.TEST)
    fc = {"fc": (net.params["fc"][0].data, net.params["fc"][1].data)}
    conv = {"fc-conv": (full_conv.params["fc-conv"][0].data, full_conv.params["fc-conv"][1].data)}
    conv["fc-conv"][0].flat = fc["fc"][0].flat
    conv["fc-conv"][1][...] = fc["fc"][1]

    image = np.random.RandomState(1).randn(1, 2, 8, 8).astype(np.float32)
    whole = net.forward(data=image)["prob"]
    assert np.allclose(full_conv.forward(data=image)["prob"].ravel(), whole.ravel(), atol=1e-6)
    large = np.pad(image, ((0, 0), (0, 0), (0, 3), (0, 3)), "constant")
    full_conv.blobs["data"].reshape(*large.shape)
    heat = full_conv.forward_all(data=large)["prob"]
    assert heat.shape == (1, 5, 4, 4)
    assert np.allclose(heat[0, :, 0, 0], whole[0], atol=1e-6)


def test_a_loss_layer_in_python_is_the_built_in_one():
    """The EuclideanLossLayer example against the layer type it imitates, forward and backward."""
    text = """
        layer { type: 'DummyData' name: 'x' top: 'x' top: 'y' dummy_data_param {
          shape { dim: 4 dim: 3 } data_filler { type: 'gaussian' }
          data_filler { type: 'uniform' } } }
        layer { type: 'InnerProduct' name: 'ip' bottom: 'x' top: 'ip'
          inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } }
        layer { %s name: 'loss' top: 'loss' bottom: 'ip' bottom: 'y' }
    """
    results = []
    for loss in (
        "type: 'EuclideanLoss'",
        "type: 'Python' loss_weight: 1 "
        "python_param { module: 'script_layers' layer: 'EuclideanLossLayer' }",
    ):
        with open("linreg.prototxt", "w") as f:
            f.write(text % loss)
        caffe.set_random_seed(5)
        net = caffe.Net("linreg.prototxt", caffe.TRAIN)
        out = float(np.squeeze(net.forward()["loss"]))
        net.backward()
        results.append([out, net.params["ip"][0].diff.copy(), net.params["ip"][1].diff.copy()])
    assert results[0][0] > 0 and np.abs(results[0][1]).max() > 0
    for a, b in zip(*results):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_layers_are_instances_and_can_be_found(solver):
    net = solver.net
    assert all(isinstance(layer, caffe.Layer) for layer in net.layers)
    assert not isinstance(net.blobs["data"], caffe.Layer)
    index = list(net._layer_names).index("conv1")
    assert net.layers[index].type == "Convolution" and net.layers[0].type == "Python"
    user = type(net.layers[0])
    assert not isinstance(net.layers[index], user) and net.layer_dict["data"] is net.layers[0]
    for i, blob in enumerate(net.layers[index].blobs):
        assert np.shares_memory(blob.data, net.params["conv1"][i].data)


def test_callbacks_and_timing(solver):
    """What the multi-GPU script does on its one rank: callbacks by layer, and a Timer."""
    fprop, bprop, calls = [], [], []
    total = caffe.Timer()
    for _ in solver.net.layers:
        fprop.append(caffe.Timer())
        bprop.append(caffe.Timer())
    solver.net.before_forward(lambda layer: fprop[layer].start())
    solver.net.after_forward(lambda layer: fprop[layer].stop())
    solver.net.before_backward(lambda layer: bprop[layer].start())
    solver.net.after_backward(lambda layer: bprop[layer].stop())
    solver.add_callback(lambda: total.start() or calls.append("start"), lambda: total.stop())
    solver.step(2)
    assert calls == ["start", "start"]
    assert total.ms > 0 and all(t.ms >= 0 for t in (*fprop, *bprop))  # BVLC's are whole numbers
    assert sum(t.ms for t in (*fprop, *bprop)) <= total.ms
    assert caffe.solver_rank() == 0 and caffe.solver_count() == 1
    assert caffe.has_nccl() in (True, False)


def test_preprocessing_as_the_classification_notebook_does(solver):
    net = solver.test_nets[0]
    transformer = caffe.io.Transformer({"data": (1, 3, 28, 28)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", np.array([104.0, 117.0, 123.0]))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    image = np.random.RandomState(0).rand(28, 28, 3).astype(np.float32)
    expected = image.transpose(2, 0, 1)[::-1] * 255 - np.array([104.0, 117.0, 123.0])[:, None, None]
    prepared = transformer.preprocess("data", image.copy())
    assert np.allclose(prepared, expected, atol=1e-4)
    net.blobs["data"].data[...] = prepared[:1]
    assert np.allclose(net.blobs["data"].data[3, 0], expected[0], atol=1e-4)
    assert np.allclose(transformer.deprocess("data", prepared), image, atol=1e-5)


def test_names_that_scripts_import():
    from caffe._caffe import Blob, LayerParameter, Solver
    from caffe.io import caffe_pb2
    from caffe.pycaffe import Net, SGDSolver

    assert Net is caffe.Net and SGDSolver is caffe.SGDSolver
    assert issubclass(caffe.AdamSolver, caffe.SGDSolver) and issubclass(SGDSolver, Solver)
    assert caffe_pb2 is caffe.proto.caffe_pb2 and LayerParameter.__name__ == "LayerParameter"
    assert (caffe.TRAIN, caffe.TEST) == (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert Blob.__name__ == "Blob" and "Convolution" in list(caffe.layer_type_list())
    with pytest.raises(AttributeError):
        caffe.no_such_name  # noqa: B018


def test_snapshot_and_restore_by_hand(solver):
    solver.step(3)
    solver.snapshot()
    assert sorted(p for p in os.listdir() if p.startswith("lenet_iter")) == [
        "lenet_iter_3.caffemodel",
        "lenet_iter_3.solverstate",
    ]
    again = caffe.get_solver("lenet_auto_solver.prototxt")
    again.restore("lenet_iter_3.solverstate")
    assert again.iter == 3
    assert np.array_equal(again.net.params["fc1"][0].data, solver.net.params["fc1"][0].data)


CLASSIFY = """
name: "classify"
input: "data"
input_dim: 10
input_dim: 3
input_dim: 12
input_dim: 12
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" convolution_param {
  num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1" pooling_param {
  pool: AVE kernel_size: 5 stride: 5 } }
layers { name: "fc8" type: INNER_PRODUCT bottom: "pool1" top: "fc8" inner_product_param {
  num_output: 6 weight_filler { type: "gaussian" std: 0.1 } } }
layers { name: "prob" type: SOFTMAX bottom: "fc8" top: "prob" }
"""


@pytest.fixture
def model():
    """A prototxt of 2014 (input_dim, layers, types in capitals) and weights for it."""
    with open("deploy.prototxt", "w") as f:
        f.write("force_backward: true\n" + CLASSIFY)
    caffe.set_random_seed(8)
    caffe.Net("deploy.prototxt", caffe.TEST).save("weights.caffemodel")
    return "deploy.prototxt", "weights.caffemodel"


@pytest.fixture
def photo():
    noise = np.random.RandomState(2).randint(0, 256, (7, 9, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((33, 25), Image.BICUBIC).save("cat.png")
    return "cat.png"


def load_image(path):
    """caffe.io.load_image, which in BVLC asks for a scikit-image older than 0.16."""
    if hasattr(caffe, "__engine__"):
        return caffe.io.load_image(path)
    with Image.open(path) as image:
        return np.asarray(image, np.float32) / 255


def test_a_mean_file_for_python():
    """convert_mean.py: from .binaryproto to .npy."""
    mean = np.random.RandomState(0).rand(1, 3, 6, 6).astype(np.float32) * 255
    blob = caffe.io.array_to_blobproto(mean)
    with open("mean.binaryproto", "wb") as f:
        f.write(blob.SerializeToString())
    blob = caffe.proto.caffe_pb2.BlobProto()
    with open("mean.binaryproto", "rb") as f:
        data = f.read()
    blob.ParseFromString(data)
    arr = np.array(caffe.io.blobproto_to_array(blob))
    np.save("mean.npy", arr[0])
    assert np.array_equal(np.load("mean.npy"), mean[0])


def test_classifying_as_in_2014(model, photo):
    """The notebook "Classification": Classifier with the mean of each channel, ten crops."""
    mean = np.linspace(90, 130, 3 * 6 * 6).reshape(3, 6, 6)
    np.save("ilsvrc_2012_mean.npy", mean)
    net = caffe.Classifier(
        *model,
        mean=np.load("ilsvrc_2012_mean.npy").mean(1).mean(1),
        channel_swap=(2, 1, 0),
        raw_scale=255,
        image_dims=(16, 16),
    )
    input_image = load_image(photo)
    prediction = net.predict([input_image])
    assert prediction.shape == (1, 6) and np.isclose(prediction.sum(), 1, atol=1e-5)
    centre = net.predict([input_image], oversample=False)

    # The same by hand, as later scripts do it.
    net = caffe.Net(model[0], model[1], caffe.TEST)
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", mean.mean(1).mean(1))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    resized = caffe.io.resize_image(input_image, (16, 16))
    crops = caffe.io.oversample([resized], (12, 12))
    caffe_in = np.asarray([transformer.preprocess("data", crop) for crop in crops])
    out = net.forward_all(**{net.inputs[0]: caffe_in})
    assert np.allclose(out[net.outputs[0]].mean(0), prediction[0], atol=1e-6)
    net.blobs["data"].reshape(1, 3, 12, 12)
    net.blobs["data"].data[...] = transformer.preprocess("data", resized[2:14, 2:14].copy())
    out = net.forward()
    assert np.allclose(out["prob"][0], centre[0], atol=1e-6)
    top_k = net.blobs["prob"].data[0].flatten().argsort()[-1:-4:-1]
    assert top_k[0] == centre[0].argmax()


def test_dreaming_and_saliency(model):
    """Gradients of an inner layer's values, and of one class, with respect to the image."""
    net = caffe.Net(model[0], model[1], caffe.TEST)
    src, dst = net.blobs["data"], net.blobs["conv1"]
    image = np.random.RandomState(1).rand(3, 20, 24).astype(np.float32)
    for _ in range(2):  # two octaves of an image, each its own size
        src.reshape(1, *image.shape)
        src.data[0] = image
        net.forward(end="conv1")
        before = (dst.data**2).sum()
        dst.diff[:] = dst.data
        net.backward(start="conv1")
        g = src.diff[0]
        src.data[:] += 0.05 / np.abs(g).mean() * g
        net.forward(end="conv1")
        assert (dst.data**2).sum() > before
        image = image[:, :14, :15]

    src.reshape(1, 3, 12, 12)
    net.forward(data=image[:, :12, :12][np.newaxis])
    label = int(net.blobs["prob"].data[0].argmax())
    net.blobs["prob"].diff[...] = 0
    net.blobs["prob"].diff[0][label] = 1
    saliency = np.abs(net.backward(start="prob")["data"][0]).max(axis=0)
    assert saliency.shape == (12, 12) and saliency.max() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BVLC calls NumPy by old names
def test_datums_for_a_database():
    """create_lmdb.py: an image in BGR and channels first, its label, there and back."""
    image = np.random.RandomState(3).randint(0, 256, (3, 5, 4)).astype(np.uint8)
    datum = caffe.io.array_to_datum(image, 7)
    stored = datum.SerializeToString()
    found = caffe.proto.caffe_pb2.Datum()
    found.ParseFromString(stored)
    assert (found.channels, found.height, found.width, found.label) == (3, 5, 4, 7)
    assert np.array_equal(caffe.io.datum_to_array(found), image)
    floats = caffe.io.array_to_datum(image.astype(float) / 2)
    assert caffe.io.datum_to_array(floats).dtype == np.float64
    assert np.array_equal(caffe.io.datum_to_array(floats) * 2, image)


def test_filters_and_features_as_pictures(model):
    net = caffe.Net(model[0], model[1], caffe.TEST)
    filters = net.params["conv1"][0].data
    assert filters.transpose(0, 2, 3, 1).shape == (8, 3, 3, 3)
    net.blobs["data"].reshape(2, 3, 12, 12)
    net.blobs["data"].data[...] = np.random.RandomState(0).rand(2, 3, 12, 12)
    net.forward()
    features = net.blobs["conv1"].data[0, :4]
    assert features.shape == (4, 10, 10) and features.min() >= 0
    shapes = {k: (v[0].data.shape, v[1].data.shape) for k, v in net.params.items()}
    assert shapes == {"conv1": ((8, 3, 3, 3), (8,)), "fc8": ((6, 32), (6,))}
    heights = [net.blobs[name].height for name in ("data", "conv1", "pool1", "fc8")]
    assert heights == [12, 10, 2, 1]
