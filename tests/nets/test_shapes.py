"""Sizes of blobs and parameters: the published nets', and that the small ones take any image."""

import os

import pytest
from fcn_helpers import ROOT

import caffe

# Heights × widths of the blobs for an image of 500×334, as computed for the published files.
SIZES = {
    "voc-fcn32s": "conv1_1 698x532 pool1 349x266 pool2 175x133 pool3 88x67 pool4 44x34 pool5 22x17 "
    "fc6 16x11 score_fr 16x11 upscore 544x384 score 500x334",
    "voc-fcn16s": "score_fr 16x11 upscore2 34x24 score_pool4 44x34 score_pool4c 34x24 "
    "fuse_pool4 34x24 upscore16 560x400 score 500x334",
    "voc-fcn8s": "conv1_1 698x532 pool1 349x266 pool2 175x133 pool3 88x67 pool4 44x34 pool5 22x17 "
    "fc6 16x11 score_fr 16x11 upscore2 34x24 score_pool4 44x34 score_pool4c 34x24 fuse_pool4 34x24 "
    "upscore_pool4 70x50 score_pool3 88x67 score_pool3c 70x50 fuse_pool3 70x50 upscore8 568x408 "
    "score 500x334",
    "voc-fcn-alexnet": "conv1 173x131 pool1 86x65 pool2 43x32 pool5 21x16 fc6 16x11 score_fr 16x11 "
    "upscore 543x383 score 500x334",
}

# Numbers of parameters, frozen ones included.
TOTALS = {
    "voc-fcn32s": 136152917,
    "voc-fcn16s": 134815994,
    "voc-fcn8s": 134489759,
    "voc-fcn8s-atonce": 134490527,
    "voc-fcn-alexnet": 58704590,
}


def deploy(experiment, height, width):
    net = caffe.Net(os.path.join(ROOT, "nets", experiment, "deploy.prototxt"), caffe.TEST)
    net.blobs["data"].reshape(1, 3, height, width)
    net.reshape()
    return net


def size(net, blob):
    return "{}x{}".format(*list(net.blobs[blob].shape)[2:])


def test_voc_deploy_nets_load_with_the_published_sizes():
    for experiment, total in TOTALS.items():
        net = deploy(experiment, 500, 334)
        words = SIZES.get(experiment, "score 500x334").split()
        for blob, wanted in zip(words[::2], words[1::2]):
            assert size(net, blob) == wanted, (experiment, blob, size(net, blob))
        count = sum(blob.count for blobs in net.params.values() for blob in blobs)
        assert count == total, (experiment, count)
        assert list(net.outputs) == ["score"]
        del net


@pytest.mark.slow
def test_small_nets_take_any_size():
    for dataset, classes in (("toy", 5), ("camvid", 11)):
        for streams in ("32s", "16s", "8s"):
            experiment = f"{dataset}-fcn{streams}"
            net = deploy(experiment, 64, 96)
            for height, width in ((1, 1), (2, 31), (33, 32), (64, 96), (77, 130), (97, 255)):
                net.blobs["data"].reshape(1, 3, height, width)
                got = tuple(net.forward()["score"].shape)
                assert got == (1, classes, height, width), (experiment, height, width, got)


def test_camvid_weights_fit_the_repository():
    net = deploy("camvid-fcn8s", 360, 480)
    count = sum(blob.count for blobs in net.params.values() for blob in blobs)
    assert 4 * count < 10 * 2**20, count
