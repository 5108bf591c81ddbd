"""GoogLeNet: parameters as published, and the two inner classifiers."""

import pytest
from fcn_helpers import net_of
from published_classifiers import as_published

import caffe
from caffe.proto import caffe_pb2
from nets import classifiers

pytestmark = pytest.mark.slow

#: Layer → shapes of its parameters.
PUBLISHED = {
    "googlenet": {
        "conv1/7x7_s2": [(64, 3, 7, 7), (64,)],
        "inception_3a/5x5_reduce": [(16, 192, 1, 1), (16,)],
        "inception_5b/pool_proj": [(128, 832, 1, 1), (128,)],
        "loss3/classifier": [(1000, 1024), (1000,)],
    },
}


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


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(tmp_path, name):
    as_published(tmp_path, name, PUBLISHED[name])
