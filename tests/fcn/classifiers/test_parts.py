"""What the classifiers share: data in both phases, a loss, fillers; small ones run."""

import numpy as np
import pytest
from google.protobuf import text_format
from published_classifiers import NAMES, deploy

import caffe
from caffe.proto import caffe_pb2
from nets import classifiers

pytestmark = pytest.mark.slow


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
