"""What the studies change in nets."""

import pytest
from fcn_helpers import raised

from caffe.proto import caffe_pb2
from fcn.build import build
from papers import _training, datasets, edits


@pytest.fixture
def toy_net(tmp_path):
    small = datasets.generated(str(tmp_path), quick=True)

    def variant(name, phase="train"):
        return build(_training.row(name, small), phase)

    return variant


def test_a_fixed_trunk_learns_scores_alone(toy_net):
    net = toy_net("toy-fcn32s")
    edits.fixed_trunk(net, "train", 1)
    learning = [each.name for each in net.layer if any(p.lr_mult for p in each.param)]
    assert learning == ["score_fr"]
    assert all(
        each.batch_norm_param.use_global_stats for each in net.layer if each.type == "BatchNorm"
    )


def test_learnt_upsampling_leaves_the_last_fixed(toy_net):
    net = toy_net("toy-fcn8s")
    edits.learnt_upsampling(net, "train", 1)
    rates = {each.name: each.param[0].lr_mult for each in net.layer if each.type == "Deconvolution"}
    assert rates == {"upscore2": 1, "upscore_pool4": 1, "upscore8": 0}


def test_edits_of_the_train_net_leave_val_alone(toy_net):
    for change in (
        edits.sampled_loss(0.5, 32),
        edits.jitter(4),
        edits.weighted_loss("h"),
        edits.option("train", mirror=True),
        edits.mask("both", [1], ["train"]),
    ):
        before, after = toy_net("toy-fcn8s", "val"), toy_net("toy-fcn8s", "val")
        change(after, "val", 1)
        assert after == before
        train = toy_net("toy-fcn8s")
        change(train, "train", 1)
        assert train != toy_net("toy-fcn8s")


def test_a_layer_that_is_not_there_is_named():
    net = caffe_pb2.NetParameter()
    assert "'pool5'" in raised(LookupError, edits.by_name, net, "pool5")
