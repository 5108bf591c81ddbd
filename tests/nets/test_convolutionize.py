"""Classifiers made fully convolutional: same scores, same files, and what is refused."""

import os

import numpy as np
import pytest
from fcn_helpers import raised, read_net
from google.protobuf import text_format

import caffe
import surgery
from caffe.proto import caffe_pb2
from fcn.classifiers import old_forms
from fcn.classifiers.catalog import classifier
from fcn.random_weights import fill, narrowed
from nets import convolutionize
from nets.convolutionize import ConvolutionizeError, compare, convolutional, pair


def narrow(name, divisor=16):
    """A classifier's deploy net, narrower."""
    return narrowed(classifier(name).build("deploy"), divisor)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(convolutionize.OUTPUTS))
def test_same_scores(name):
    nets = pair(narrow(name), fill)
    worst, largest = compare(nets, images=1)
    assert largest > 1e-3  # else equality would show nothing
    assert worst <= 1e-5 * largest
    assert "at 4×4 places" in convolutionize.larger(nets)


def test_every_place_is_its_crop_where_nothing_is_padded():
    """Without padding the map of a larger image is exactly the crops' scores."""
    param = narrow("vgg16")
    for layer in param.layer:
        if layer.type == "Convolution":
            del layer.convolution_param.pad[:]
        elif layer.name == "fc6":
            layer.inner_product_param.num_output = 64
    param.layer[0].input_param.shape[0].dim[2:] = [404, 404]  # the receptive field of fc8
    nets = pair(param, fill)
    image = np.random.RandomState(3).uniform(-120, 135, (1, 3, 436, 468)).astype(np.float32)
    found = convolutionize.scores(nets.dense, image, nets.scores[1])
    assert found.shape[2:] == (2, 3)
    for i, j in ((0, 0), (1, 2)):
        crop = image[:, :, 32 * i : 32 * i + 404, 32 * j : 32 * j + 404]
        alone = convolutionize.scores(nets.plain, crop, nets.scores[0])
        np.testing.assert_allclose(found[0, :, i, j], alone[0], atol=1e-5 * np.abs(alone).max())


def test_what_fcns_take_from_it():
    """All layers of the FCN but its scores and upsampling are in the net, with the same kernels."""
    for name, experiment in (("vgg16", "voc-fcn32s"), ("caffenet", "voc-fcn-alexnet")):
        made, names = convolutional(classifier(name).build("deploy"))
        assert names == {"fc8": "fc8-conv"}
        have = {
            layer.name: layer.convolution_param
            for layer in made.layer
            if layer.type == "Convolution"
        }
        wanted = [
            layer
            for layer in read_net(experiment, "deploy").layer
            if layer.type == "Convolution" and layer.name != "score_fr"
        ]
        assert len(wanted) == len(have) - 1
        for layer in wanted:
            a, b = have[layer.name], layer.convolution_param
            assert (a.num_output, list(a.kernel_size), a.group) == (
                b.num_output,
                list(b.kernel_size),
                b.group,
            ), layer.name
        assert not [layer for layer in made.layer if layer.type == "InnerProduct"]


def test_googlenet_keeps_its_pooling_and_renames_only_the_last():
    made, names = convolutional(classifier("googlenet").build("deploy"))
    assert names == {"loss3/classifier": "loss3/classifier-conv"}
    assert made.layer[-1].bottom[0] == "loss3/classifier-conv"


def saved(tmp_path, name, v1=False):
    """A caffemodel of a narrow classifier with random weights, and its NetParameter."""
    param = narrow(name)
    nets = pair(param, fill)
    path = os.path.join(str(tmp_path), "plain.caffemodel")
    nets.plain.save(path)
    if v1:
        with open(path, "rb") as file:
            stored = caffe_pb2.NetParameter.FromString(file.read())
        for layer in stored.layer:
            layer.ClearField("phase")
            for blob in layer.blobs:  # as in 2014: four axes, and no `shape`
                shape = list(blob.shape.dim)
                shape = [1] * (4 - len(shape)) + shape
                blob.ClearField("shape")
                blob.num, blob.channels, blob.height, blob.width = shape
        with open(path, "wb") as file:
            file.write(old_forms.v1(stored).SerializeToString())
    return path, param


def use_narrow(monkeypatch, param):
    row = classifier("vgg16")._replace(build=lambda form: param)
    monkeypatch.setattr(convolutionize, "classifier", lambda name: row)


@pytest.mark.slow
@pytest.mark.parametrize("v1", [False, True], ids=["today", "V1"])
def test_command(tmp_path, monkeypatch, capsys, v1):
    path, param = saved(tmp_path, "vgg16", v1)
    use_narrow(monkeypatch, param)
    out = os.path.join(str(tmp_path), "made", "vgg16-fcn.caffemodel")
    here = os.getcwd()
    try:
        assert convolutionize.main(["vgg16", "--weights", path, "--out", out]) == 0
    finally:
        os.chdir(here)
    assert "largest difference" in capsys.readouterr().out
    made = caffe.Net(out.replace(".caffemodel", ".prototxt"), out, caffe.TEST)
    plain = pair(param, lambda net: surgery.load(net, path)).plain
    assert np.array_equal(made.params["fc6"][0].data.ravel(), plain.params["fc6"][0].data.ravel())
    assert np.abs(made.params["fc8-conv"][0].data).max() > 0
    assert made.params["fc6"][0].data.shape[2:] == (7, 7)
    assert sorted(os.listdir(os.path.dirname(out))) == [
        "vgg16-fcn.caffemodel",
        "vgg16-fcn.prototxt",
    ]


def test_a_file_that_lacks_layers_is_refused(tmp_path, monkeypatch, capsys):
    path, param = saved(tmp_path, "vgg16")
    with open(path, "rb") as file:
        stored = caffe_pb2.NetParameter.FromString(file.read())
    kept = [layer for layer in stored.layer if layer.name != "fc7"]
    del stored.layer[:]
    stored.layer.extend(kept)
    with open(path, "wb") as file:
        file.write(stored.SerializeToString())
    use_narrow(monkeypatch, param)
    out = os.path.join(str(tmp_path), "made.caffemodel")
    assert convolutionize.main(["vgg16", "--weights", path, "--out", out]) == 1
    assert "is not vgg16: it does not have fc7" in capsys.readouterr().err
    assert not os.path.exists(out)


def test_nets_that_differ_are_not_written(tmp_path, monkeypatch, capsys):
    path, param = saved(tmp_path, "vgg16")
    use_narrow(monkeypatch, param)
    honest = convolutionize.pair

    def damaged(param, load):
        nets = honest(param, load)
        nets.dense.params["fc6"][0].data[0] += 1e-2
        return nets

    monkeypatch.setattr(convolutionize, "pair", damaged)
    out = os.path.join(str(tmp_path), "made.caffemodel")
    assert convolutionize.main(["vgg16", "--weights", path, "--out", out]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not os.path.exists(out)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_scores_that_are_not_finite_agree_with_nothing(value):
    nets = pair(narrow("caffenet"), fill)
    for net, name in ((nets.plain, "fc8"), (nets.dense, "fc8-conv")):
        net.params[name][1].data[0] = value
    assert "not finite" in raised(ConvolutionizeError, compare, nets)


def test_missing_weights_say_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(convolutionize.find.os.path, "isfile", lambda path: False)
    assert convolutionize.main(["vgg19"]) == 1
    text = capsys.readouterr().err
    assert "VGG_ILSVRC_19_layers.caffemodel" in text and "python nets/weights.py vgg19" in text


def test_what_has_no_convolutional_form():
    text = (
        'layer { name: "i" type: "Input" top: "data" input_param { shape { %s } } } '
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        "inner_product_param { num_output: 2 %s } }"
    )
    for dims, more, said in (
        ("dim: 1 dim: 2 dim: 3 dim: 3", "transpose: true", "transposed"),
        ("dim: 1 dim: 2 dim: 3 dim: 4", "", "N×C×K×K"),
    ):
        net = text_format.Merge(text % (dims, more), caffe_pb2.NetParameter())
        assert said in raised(ConvolutionizeError, convolutional, net)
    net = caffe_pb2.NetParameter(name="all")
    assert "it is convolutional" in raised(ConvolutionizeError, convolutional, net)


def test_what_it_writes_is_where_solve_looks():
    """The first place that the catalog names, and the command that it says makes it."""
    from fcn.catalog import initial

    for name, source in (
        ("vgg16", initial.VGG16),
        ("vgg19", initial.VGG19),
        ("caffenet", initial.ALEXNET),
    ):
        path, origin = source[0].places[0]
        assert path == f"ilsvrc-nets/{convolutionize.OUTPUTS[name]}.caffemodel"
        assert origin.endswith("nets/convolutionize.py " + name)
        assert source[0].places[1][0] == "ilsvrc-nets/" + classifier(name).file
