"""Nets in the syntax of their time."""

import pytest
from fcn_helpers import raised
from published_classifiers import deploy

import caffe
from caffe.proto import caffe_pb2
from fcn.classifiers import catalog, old_forms
from nets import classifiers

pytestmark = pytest.mark.slow


#: One of each family that was published in old syntax.
OLD = ["alexnet", "vgg16", "googlenet", "resnet50", "mobilenet2", "lrcn-small"]


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
