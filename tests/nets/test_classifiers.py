"""The published classifiers: names, shapes, numbers of parameters, old and new syntax."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fcn_helpers import ROOT, net_of, raised
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn.classifiers import catalog, old_forms
from nets import classifiers

pytestmark = pytest.mark.slow

NAMES = list(catalog.CLASSIFIERS)
#: One of each family that was published in old syntax.
OLD = ["alexnet", "vgg16", "googlenet", "resnet50", "mobilenet2", "lrcn-small"]

#: Parameters as the published caffemodels hold them: layer → shapes.
PUBLISHED = {
    "alexnet": {
        "conv1": [(96, 3, 11, 11), (96,)],
        "conv2": [(256, 48, 5, 5), (256,)],
        "fc6": [(4096, 9216), (4096,)],
        "fc8": [(1000, 4096), (1000,)],
    },
    "caffenet": {"conv5": [(256, 192, 3, 3), (256,)], "fc7": [(4096, 4096), (4096,)]},
    "vgg16": {
        "conv1_1": [(64, 3, 3, 3), (64,)],
        "conv5_3": [(512, 512, 3, 3), (512,)],
        "fc6": [(4096, 25088), (4096,)],
    },
    "vgg19": {"conv3_4": [(256, 256, 3, 3), (256,)], "fc8": [(1000, 4096), (1000,)]},
    "googlenet": {
        "conv1/7x7_s2": [(64, 3, 7, 7), (64,)],
        "inception_3a/5x5_reduce": [(16, 192, 1, 1), (16,)],
        "inception_5b/pool_proj": [(128, 832, 1, 1), (128,)],
        "loss3/classifier": [(1000, 1024), (1000,)],
    },
    "resnet50": {
        "conv1": [(64, 3, 7, 7), (64,)],
        "bn_conv1": [(64,), (64,), (1,)],
        "res2a_branch1": [(256, 64, 1, 1)],
        "res4f_branch2b": [(256, 256, 3, 3)],
        "bn2a_branch2a": [(64,), (64,), (1,)],
        "scale5c_branch2c": [(2048,), (2048,)],
    },
    "resnet101": {
        "conv1": [(64, 3, 7, 7)],
        "res3b3_branch2c": [(512, 128, 1, 1)],
        "scale4b22_branch2a": [(256,), (256,)],
        "fc1000": [(1000, 2048), (1000,)],
    },
    "resnet152": {
        "res3b7_branch2a": [(128, 512, 1, 1)],
        "bn4b35_branch2c": [(1024,), (1024,), (1,)],
    },
    "squeezenet1.0": {"conv1": [(96, 3, 7, 7), (96,)], "conv10": [(1000, 512, 1, 1), (1000,)]},
    "squeezenet1.1": {
        "fire2/squeeze1x1": [(16, 64, 1, 1), (16,)],
        "fire9/expand3x3": [(256, 64, 3, 3), (256,)],
    },
    "mobilenet1": {
        "conv2_1/dw": [(32, 1, 3, 3)],
        "conv6/sep": [(1024, 1024, 1, 1)],
        "conv5_6/dw/scale": [(512,), (512,)],
        "fc7": [(1000, 1024, 1, 1), (1000,)],
    },
    "mobilenet2": {
        "conv2_1/expand": [(32, 32, 1, 1)],
        "conv6_3/linear": [(320, 960, 1, 1)],
        "conv4_7/dwise": [(384, 1, 3, 3)],
        "conv6_4/bn": [(1280,), (1280,), (1,)],
    },
    "efficientnet-lite0": {
        "stem": [(32, 3, 3, 3)],
        "block4_depthwise": [(144, 1, 5, 5)],
        "block16_project_scale": [(320,), (320,)],
        "head_bn": [(1280,), (1280,), (1,)],
        "fc": [(1000, 1280), (1000,)],
    },
    "efficientnet-lite1": {"block21_project": [(320, 1152, 1, 1)], "stem": [(32, 3, 3, 3)]},
    "efficientnet-lite2": {"block21_project": [(352, 1248, 1, 1)], "head": [(1280, 352, 1, 1)]},
    "lenet": {"conv2": [(50, 20, 5, 5), (50,)], "ip1": [(500, 800), (500,)]},
    "siamese": {"ip2": [(10, 500), (10,)], "feat": [(2, 10), (2,)]},
    "cifar10-quick": {"conv3": [(64, 32, 5, 5), (64,)], "ip1": [(64, 1024), (64,)]},
    "cifar10-full": {"ip1": [(10, 1024), (10,)]},
    "lrcn": {
        "embedding": [(8801, 1000)],
        "predict": [(8801, 1000), (8801,)],
        "lstm1": [(4000, 1000), (4000,), (4000, 1000)],
        "lstm2": [(4000, 1000), (4000,), (4000, 1000), (4000, 1000)],
    },
    "lrcn-small": {"lstm1": [(96, 24), (96,), (96, 24)]},
}
#: Classes or coordinates that deploy gives for each item.
OUTPUTS = {"lenet": 10, "cifar10-quick": 10, "cifar10-full": 10, "siamese": 2}


def deploy(tmp_path, name, syntax=None):
    """The deploy net with one item, without weights."""
    net = classifiers.build(name, "deploy", syntax)
    row = catalog.classifier(name)
    if row.input:
        for layer in net.layer:
            for shape in layer.input_param.shape:
                assert tuple(shape.dim) == row.input
                shape.dim[0] = 1
        if net.input_dim:
            net.input_dim[0] = 1
    return net_of(tmp_path, classifiers.text(net))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_published_ones(tmp_path, name):
    net = deploy(tmp_path, name)
    found = {layer: [tuple(b.shape) for b in blobs] for layer, blobs in net.params.items()}
    for layer, shapes in PUBLISHED[name].items():
        assert found[layer] == shapes, layer
    counts = {True: 0, False: 0}
    for layer, blobs in net.params.items():
        counts[net.layer_dict[layer].type == "BatchNorm"] += sum(b.count for b in blobs)
    row = catalog.classifier(name)
    assert (counts[False], counts[True]) == (row.parameters, row.measured)
    if row.input:
        top = "feat" if name == "siamese" else "prob"
        assert net.outputs == [top]
        assert tuple(net.blobs[top].shape)[:2] == (1, OUTPUTS.get(name, 1000))


@pytest.mark.parametrize("name", OLD)
def test_old_syntax_is_the_same_net(tmp_path, name):
    row = catalog.classifier(name)
    new, old = deploy(tmp_path, name), deploy(tmp_path, name, row.old)
    text = classifiers.text(classifiers.build(name, "deploy", row.old))
    assert ("layers {" in text) == (row.old == "v1") != ("layer {" in text)
    assert ("\ninput_dim: " in text) == bool(row.input)
    assert text.index("input: ") < text.index("layers {" if row.old == "v1" else "layer {")

    def content(net):  # without Input and Split layers, whose names follow from the inputs'
        return [
            (
                layer,
                [list(b.shape) for b in net.params.get(layer, ())],
                net.top_names[layer],
                len(net.bottom_names[layer]),
            )
            for layer in net.layer_dict
            if net.layer_dict[layer].type not in ("Input", "Split")
        ]

    assert content(new) == content(old)


def test_v1_keeps_multipliers_shared_names_and_phases():
    net = old_forms.v1(classifiers.build("siamese", "train_val"))
    assert not net.layer
    data, test, slicer, conv = net.layers[:4]
    types = caffe_pb2.V1LayerParameter.LayerType
    assert [types.Name(layer.type) for layer in (data, slicer, conv)] == [
        "DATA",
        "SLICE",
        "CONVOLUTION",
    ]
    assert (data.include[0].phase, test.include[0].phase) == (caffe.TRAIN, caffe.TEST)
    assert list(conv.param) == ["conv1_w", "conv1_b"] and list(conv.blobs_lr) == [1, 2]
    assert not conv.weight_decay and conv.convolution_param.num_output == 20
    twin = next(layer for layer in net.layers if layer.name == "conv1_p")
    assert list(twin.param) == ["conv1_w", "conv1_b"]
    alexnet = old_forms.v1(classifiers.build("alexnet", "train_val")).layers[2]
    assert list(alexnet.blobs_lr) == [1, 2] and list(alexnet.weight_decay) == [1, 0]


def test_v1_refuses_what_it_did_not_have():
    text = raised(ValueError, classifiers.build, "resnet50", "deploy", "v1")
    assert "bn_conv1" in text and "BatchNorm" in text


@pytest.mark.parametrize("name", NAMES)
def test_train_val_reads_data_in_both_phases_and_ends_in_a_loss(name):
    net = classifiers.build(name, "train_val")
    assert text_format.Parse(classifiers.text(net), caffe_pb2.NetParameter()) == net
    phases = {}
    for layer in net.layer:
        if layer.type in ("Data", "HDF5Data"):
            phases.setdefault(layer.name, []).append((layer.include[0].phase, list(layer.top)))
    for made in phases.values():
        assert [phase for phase, _ in made] == [caffe.TRAIN, caffe.TEST]
        assert made[0][1] == made[1][1]
    assert any(layer.type.endswith("Loss") for layer in net.layer)
    assert not any(layer.type in ("Input", "Softmax") for layer in net.layer)
    trained = [layer for layer in net.layer if layer.type in ("Convolution", "InnerProduct")]
    assert all(
        getattr(layer, field).HasField("weight_filler")
        for layer in trained
        for field in [{"Convolution": "convolution_param"}.get(layer.type, "inner_product_param")]
    )


def test_googlenet_learns_with_two_more_classifiers(tmp_path):
    net = classifiers.build("googlenet", "train_val")
    losses = [
        (layer.name, layer.top[0], round(layer.loss_weight[0], 3))
        for layer in net.layer
        if layer.type == "SoftmaxWithLoss"
    ]
    assert losses == [
        ("loss1/loss", "loss1/loss1", 0.3),
        ("loss2/loss", "loss2/loss1", 0.3),
        ("loss3/loss3", "loss3/loss3", 1.0),
    ]
    made = caffe_pb2.NetParameter()
    data = made.layer.add(name="data", type="Input", top=["data", "label"])
    data.input_param.shape.add(dim=[1, 3, 224, 224])
    data.input_param.shape.add(dim=[1])
    for layer in net.layer[2:]:
        made.layer.add().CopyFrom(layer)
        for param in ("convolution_param", "inner_product_param"):
            getattr(made.layer[-1], param).ClearField("weight_filler")
    trained = net_of(tmp_path, classifiers.text(made), caffe.TRAIN)
    assert sum(b.count for blobs in trained.params.values() for b in blobs) == 13378280


def test_small_nets_run(tmp_path):
    rng = np.random.RandomState(0)
    for name in ("lenet", "cifar10-quick", "cifar10-full", "lrcn-small"):
        net = deploy(tmp_path, name)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0.1 * rng.standard_normal(blob.data.shape)
        for blob in net.inputs:
            net.blobs[blob].data[...] = rng.randint(0, 2, net.blobs[blob].data.shape)
        (top,) = net.outputs
        found = net.forward()[top]
        np.testing.assert_allclose(found.sum(axis=2 if name == "lrcn-small" else 1), 1, rtol=1e-5)
        assert found.std() > 0


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["classifiers.py", *arguments])
    status = classifiers.main()
    return (status, *capsys.readouterr())


def test_command_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "net.prototxt"
    arguments = ["vgg16", "--form", "deploy", "--v1", "--out", str(path)]
    script = os.path.join(ROOT, "nets", "classifiers.py")
    subprocess.run([sys.executable, script, *arguments], check=True, cwd=str(tmp_path))
    net = text_format.Parse(path.read_text(), caffe_pb2.NetParameter())
    assert net == classifiers.build("vgg16", "deploy", "v1") and list(net.input_dim) == [
        10,
        3,
        224,
        224,
    ]
    status, out, _ = run(monkeypatch, capsys, "lenet", "--form", "train_val")
    assert status == 0 and out == classifiers.text(classifiers.build("lenet", "train_val"))
    status, out, _ = run(monkeypatch, capsys)
    assert status == 0 and all(name in out for name in NAMES) and "138,357,544" in out


def test_mistakes_on_the_command_line(monkeypatch, capsys):
    status, out, error = run(monkeypatch, capsys, "vgg17")
    assert status == 1 and not out
    assert error.startswith("classifiers.py: no classifier 'vgg17'") and "vgg16" in error
    status, _, error = run(monkeypatch, capsys, "mobilenet1", "--v1")
    assert status == 1 and "V1 nets had no layer type BatchNorm" in error
    assert "train_val or deploy" in raised(ValueError, classifiers.build, "lenet", "test")
