"""Staged training: what surgery carries from each net to the next, and nothing unexpected.

Nets of a thirty-second of the width, as caffemodels: names and shapes decide all of it.
"""

import os

import numpy as np
import pytest
from fcn_helpers import raised, read_net
from narrow_nets import narrow

import caffe
import surgery
from fcn import catalog
from fcn.build import widened
from fcn.classifiers.catalog import classifier
from fcn.prototxt import to_text

#: (stage before, stage after, suffix): what only the one before has, what only the one after has.
STAGES = {
    ("voc-fcn32s", "voc-fcn16s", ""): ("upscore", "upscore2 score_pool4 upscore16"),
    ("voc-fcn16s", "voc-fcn8s", ""): ("upscore16", "upscore_pool4 score_pool3 upscore8"),
    ("voc-fcn16s", "voc-fcn8s-learned", ""): ("upscore16", "upscore_pool4 score_pool3 upscore8"),
    ("pascalcontext-fcn32s", "pascalcontext-fcn16s", ""): (
        "upscore",
        "upscore2 score_pool4 upscore16",
    ),
    ("pascalcontext-fcn16s", "pascalcontext-fcn8s", ""): (
        "upscore16",
        "upscore_pool4 score_pool3 upscore8",
    ),
    ("siftflow-fcn32s", "siftflow-fcn16s", ""): (
        "upscore_sem upscore_geo",
        "upscore2_sem score_pool4_sem upscore16_sem upscore2_geo score_pool4_geo upscore16_geo",
    ),
    ("siftflow-fcn16s", "siftflow-fcn8s", ""): (
        "upscore16_sem upscore16_geo",
        "upscore_pool4_sem score_pool3_sem upscore8_sem "
        "upscore_pool4_geo score_pool3_geo upscore8_geo",
    ),
    ("nyud-fcn32s-color-hha", "nyud-fcn16s-color-hha", ""): (
        "upscore",
        "upscore2 score_pool4color score_pool4hha upscore16",
    ),
    ("voc-fcn32s-resnet50", "voc-fcn16s-resnet50", ""): (
        "upscore",
        "upscore2 score_res4f upscore16",
    ),
    ("voc-fcn16s-resnet50", "voc-fcn8s-resnet50", ""): (
        "upscore16",
        "upscore_res4f score_res3d upscore8",
    ),
    ("camvid-fcn32s", "camvid-fcn16s", ""): ("upscore", "upscore2 score_pool4 upscore16"),
    ("toy-fcn16s", "toy-fcn8s-learned", ""): ("upscore16", "upscore_pool4 score_pool3 upscore8"),
}


def small(tmp_path, net, name):
    """A Net from a NetParameter, of a thirty-second of the width."""
    path = os.path.join(str(tmp_path), name + ".prototxt")
    with open(path, "w") as f:
        f.write(to_text(narrow(net, 32)))
    return caffe.Net(path, caffe.TEST)


def saved(tmp_path, name):
    """A caffemodel of an experiment's narrow net; each blob is full of a number of its own."""
    net = small(tmp_path, read_net(name, "deploy"), name)
    for i, blobs in enumerate(net.params.values(), 1):
        for j, blob in enumerate(blobs):
            blob.data[...] = i + j / 10
    path = os.path.join(str(tmp_path), name + ".caffemodel")
    net.save(path)
    return net, path


@pytest.mark.slow
def test_each_stage_takes_all_but_the_upsampling_it_replaces(tmp_path):
    for (before, after, suffix), (lost, fresh) in STAGES.items():
        source = catalog.EXPERIMENTS[after].init[0].places[0][0]
        assert source == f"{{out}}/{before}.caffemodel", after
        old, path = saved(tmp_path, before)
        new = small(tmp_path, read_net(after, "deploy"), after)
        report = surgery.load(new, path, suffix)
        assert [name for name, _ in report.dropped] == lost.split(), after
        assert list(dict(report.left)) == fresh.split(), after
        assert not report.coerced, after
        for name, _ in report.copied:
            for a, b in zip(old.params[name], new.params[name]):
                assert np.array_equal(a.data, b.data), (after, name)


def test_late_fusion_takes_both_single_streams(tmp_path):
    new = small(tmp_path, read_net("nyud-fcn32s-color-hha", "deploy"), "fused")
    left = set(new.params)
    for source, suffix in zip(catalog.EXPERIMENTS["nyud-fcn32s-color-hha"].init, ("color", "hha")):
        name = "nyud-fcn32s-" + suffix
        assert (source.places[0][0], source.suffix) == (f"{{out}}/{name}.caffemodel", suffix)
        old, path = saved(tmp_path, name)
        report = surgery.load(new, path, suffix)
        assert report.dropped == [("upscore", None)] and not report.coerced
        taken = {layer for layer, _ in report.copied}
        assert all(layer.endswith(suffix) for layer in taken)
        left -= taken
        assert np.array_equal(old.params["fc7"][0].data, new.params["fc7" + suffix][0].data)
    assert left == {"upscore"}


def test_early_fusion_takes_a_trunk_of_three_channels(tmp_path):
    experiment = catalog.EXPERIMENTS["nyud-fcn32s-color-d"]
    wide, first = widened(experiment)
    assert (wide, first) == ("conv1_1_bgrd", "conv1_1")
    old, path = saved(tmp_path, "nyud-fcn32s-color")
    new = small(tmp_path, read_net("nyud-fcn32s-color-d", "deploy"), "early")
    report = surgery.load(new, path)
    assert report.dropped == [("conv1_1", None)] and list(dict(report.left)) == [wide]
    assert surgery.widen_input(new, wide, path, first) == report.left
    weights = new.params[wide][0].data
    assert weights.shape[1] == 4 and np.allclose(weights, old.params[first][0].data.flat[0])


@pytest.mark.slow
def test_classifiers_fit_the_nets_on_their_backbones(tmp_path):
    """By the published names: all of the trunk, and nothing for the scores."""
    for name, experiment, lost, fresh in (
        ("resnet50", "voc-fcn32s-resnet50", "fc1000", "score_fr upscore"),
        ("googlenet", "voc-fcn-googlenet", "loss3/classifier", "score_fr upscore"),
        (
            "resnet50",
            "voc-fcn8s-fpn",
            "fc1000",
            "lateral_fr upsample_res4f lateral_res4f upsample_res3d lateral_res3d smooth "
            "score_fr upscore8",
        ),
    ):
        old = small(tmp_path, classifier(name).build("deploy"), "classifier")
        path = os.path.join(str(tmp_path), "classifier.caffemodel")
        old.save(path)
        new = small(tmp_path, read_net(experiment, "deploy"), experiment)
        report = surgery.load(new, path)
        assert report.dropped == [(lost, None)], experiment
        assert list(dict(report.left)) == fresh.split(), experiment
        assert {layer for layer, _ in report.copied} == set(old.params) - {lost}


def test_a_stage_of_another_backbone_is_refused(tmp_path):
    _, path = saved(tmp_path, "toy-fcn32s")
    new = small(tmp_path, read_net("voc-fcn8s", "deploy"), "other")
    assert "cannot transplant conv2_1 blob 0" in raised(
        surgery.SurgeryError, surgery.load, new, path
    )
