"""Each head computes what its file says, value by value, on a small trunk with random weights."""

import os

import numpy as np
import pytest

import caffe
import surgery
from fcn import catalog
from fcn.build import build
from fcn.catalog import HEADS, datasets
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


def layer(param, name):
    return next(layer for layer in param.layer if layer.name == name)


def value(net, name):
    return np.array(net.blobs[name].data)


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_sum_adds_the_scores_of_each_stride(made):
    train, net = made("sum", 8)
    close(value(net, "fuse_pool4"), value(net, "upscore2c") + value(net, "score_pool4"))
    close(value(net, "fuse_pool3"), value(net, "upscore_pool4c") + value(net, "score_pool3"))
    assert layer(train, "upscore8").param[0].lr_mult == 0  # bilinear for good
    assert layer(train, "score_fr").convolution_param.kernel_size[:] == [1]
    assert not [each for each in made("sum", 32)[0].layer if each.type == "Eltwise"]


def test_light_puts_a_quarter_of_the_channels_before_the_score(made):
    train, net = made("light", 32)
    trunk = net.blobs[layer(train, "light_fr").bottom[0]].shape[1]
    light = layer(train, "light_fr").convolution_param
    assert light.num_output == trunk // 4 and light.kernel_size[:] == [3]
    assert layer(train, "drop_fr").dropout_param.dropout_ratio == pytest.approx(0.1)
    assert "drop_fr" not in net._layer_names
    assert (value(net, "light_fr") >= 0).all()  # ReLU works in place


def test_concat_scores_all_streams_together(made):
    train, net = made("concat", 8)
    parts = [value(net, name) for name in layer(train, "concat").bottom]
    assert len(parts) == 3 and all(part.shape[1] == 64 for part in parts)
    close(value(net, "concat"), np.concatenate(parts, axis=1))
    assert layer(train, "joined").convolution_param.kernel_size[:] == [3]
    # A single stream needs no Concat.
    assert not [each for each in made("concat", 32)[0].layer if each.type == "Concat"]


def test_pyramid_adds_laterals_from_the_top_down(made):
    train, net = made("pyramid", 8)
    for name in ("pool4", "pool3"):
        upper, side = layer(train, "sum_" + name).bottom
        assert (upper, side) == (f"upsample_{name}c", "lateral_" + name)
        close(value(net, "sum_" + name), value(net, upper) + value(net, side))
    assert layer(train, "smooth").bottom[:] == ["sum_pool3"]
    # The trunk has 64 channels, so the pyramid is no wider.
    assert layer(train, "smooth").convolution_param.num_output == 64


def test_fusion_mixes_at_each_stride(made):
    train, net = made("fusion", 8)
    for name in ("pool4", "pool3"):
        upper, side = layer(train, "sum_" + name).bottom
        close(value(net, "sum_" + name), value(net, upper) + value(net, side))
        assert layer(train, "mix_" + name).bottom[:] == ["sum_" + name]
    assert layer(train, "score_fr").bottom[:] == ["mix_pool3"]


@pytest.mark.slow
def test_unet_concatenates_the_skip_before_what_comes_from_below(made):
    train, net = made("unet", 1, "unet-small")
    joined = [each for each in train.layer if each.type == "Concat"]
    assert len(joined) == 4
    for each in joined:
        skip, below = (value(net, name) for name in each.bottom)
        assert skip.shape == below.shape
        close(value(net, each.top[0]), np.concatenate([skip, below], axis=1))
    learned = [each for each in train.layer if each.type == "Deconvolution"]
    assert len(learned) == 4 and all(each.param[0].lr_mult == 1 for each in learned)


def test_classes_adds_what_the_classifier_knows_to_the_decoders_score(made):
    train, net = made("classes", 8)
    close(value(net, "fuse_classes"), value(net, "upscore_classesc") + value(net, "score_fr"))
    coarse = layer(train, "score_classes")
    assert coarse.bottom[0] == layer(train, "lateral_fr").bottom[0]
    assert 0 < coarse.param[0].lr_mult < 1
    assert layer(train, "upscore8").bottom[0] == "fuse_classes"


def test_a_row_names_a_file_that_builds_it():
    for name, row in HEADS.items():
        assert callable(row.add), name
        if row.sums:
            assert callable(row.fuse), name
