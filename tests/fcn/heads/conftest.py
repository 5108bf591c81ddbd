"""Nets of each head on a small trunk with random weights, after a pass."""

import os

import numpy as np
import pytest

import caffe
import surgery
from fcn import catalog
from fcn.build import build
from fcn.catalog import datasets
from fcn.prototxt import to_text
from fcn.random_weights import fill

SIZE = (45, 70)


@pytest.fixture
def made(tmp_path):
    """A function: head, stride, backbone → (NetParameter of training, deploy Net after a pass)."""

    def make(head, stride, backbone="toy"):
        row = catalog.plan(datasets.TOY, backbone, stride, head=head)
        path = os.path.join(str(tmp_path), "deploy.prototxt")
        with open(path, "w") as f:
            f.write(to_text(build(row, "deploy")))
        net = caffe.Net(path, caffe.TEST)
        fill(net)
        for name, one in zip(net._layer_names, net.layers):
            if one.type == "BatchNorm":  # statistics of mean 0 and variance 1
                for blob, number in zip(net.params[name], (0, 1, 1)):
                    blob.data[...] = number
        surgery.interp(net, surgery.uses_upsampling(net))
        net.blobs["data"].reshape(1, 3, *SIZE)
        net.blobs["data"].data[...] = np.random.RandomState(1).standard_normal((1, 3, *SIZE))
        net.forward()
        assert list(net.blobs["score"].shape) == [1, datasets.TOY_CLASSES, *SIZE]
        assert np.isfinite(net.blobs["score"].data).all()
        return build(row, "train"), net

    return make
