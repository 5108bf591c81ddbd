"""One layer of a net as its passes run it."""

import numpy as np
import pytest
import torch
from small_net import random

import caffe
from caffe.net.layer_step import LayerStep, plus


@pytest.mark.parametrize("total", [np.float32(1.5), torch.tensor(1.5)])
@pytest.mark.parametrize("term", [np.float32(2), torch.tensor(2.0)])
def test_losses_are_added_wherever_they_lie(total, term):
    found = plus(total, term)
    assert float(found) == 3.5
    assert isinstance(found, torch.Tensor) == (torch.is_tensor(total) or torch.is_tensor(term))
    assert plus(total, None) is total


def test_shapes_are_found_anew_only_where_one_has_changed(make_net, monkeypatch):
    net = make_net()
    net.forward(data=random((2, 3, 6, 5)))
    layer, seen = net.layer_dict["conv"], []
    reshape = layer.reshape_blobs
    step = LayerStep(net._graph, 1)
    monkeypatch.setattr(layer, "reshape_blobs", lambda *blobs: seen.append(1) or reshape(*blobs))
    for _ in range(3):
        step.forward()
    assert len(seen) == 1
    net.blobs["data"].reshape(1, 3, 6, 5)
    step.forward()
    assert len(seen) == 2 and net.blobs["conv"].data.shape == (1, 4, 6, 5)


def test_an_error_names_the_layer(make_net):
    net = make_net()
    net.blobs["data"].reshape(2, 5, 6, 5)
    with pytest.raises(caffe.Error, match="layer 'conv'"):
        LayerStep(net._graph, 1).forward()
