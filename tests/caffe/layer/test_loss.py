"""What the losses share: by what a sum is divided, and which labels are taken."""

import pytest
import torch
from harness import Rig

from caffe.layer import _loss
from caffe.layer._loss import normalization, normalizer
from caffe.proto import caffe_pb2

FULL, VALID, BATCH_SIZE, NONE, PRE_FIXED = (
    getattr(caffe_pb2.LossParameter, name)
    for name in ("FULL", "VALID", "BATCH_SIZE", "NONE", "PRE_FIXED")
)


@pytest.mark.parametrize(
    "fields, mode",
    [
        ({}, VALID),
        (dict(normalize=True), VALID),
        (dict(normalize=False), BATCH_SIZE),
        (dict(normalize=False, normalization=FULL), FULL),
    ],
)
def test_the_mode(fields, mode):
    assert normalization(caffe_pb2.LossParameter(**fields), VALID) == mode


@pytest.mark.parametrize(
    "mode, counts, divisor",
    [
        (FULL, None, 12),
        (VALID, None, 12),
        (VALID, [1, 1, 1, 0], 3),
        (VALID, [0, 0], 1),  # never by zero
        (BATCH_SIZE, None, 4),
        (NONE, None, 1),
        (PRE_FIXED, None, 7),
    ],
)
def test_what_a_sum_is_divided_by(mode, counts, divisor):
    param = caffe_pb2.LossParameter(pre_fixed_normalizer=7)
    counts = None if counts is None else torch.tensor(counts)
    assert normalizer(param, mode, 4, 3, counts) == divisor


def test_ignored_labels_and_shapes_that_do_not_fit():
    assert _loss.ignore_label(caffe_pb2.LossParameter()) is None
    assert _loss.ignore_label(caffe_pb2.LossParameter(ignore_label=255)) == 255
    layer = Rig('type: "SoftmaxWithLoss"', (2, 3, 4), (2, 4)).layer
    _loss.check_label_count(layer, (2, 3, 4), (2, 1, 4), 1)
    with pytest.raises(Exception, match=r"have 8 positions apart from axis 1, .* are 6"):
        _loss.check_label_count(layer, (2, 3, 4), (6,), 1)
    _loss.check_first_axis(layer, [(2, 3), (2,)])
    with pytest.raises(Exception, match="should have the same first dimension"):
        _loss.check_first_axis(layer, [(2, 3), (3,)])


def test_a_label_that_names_no_class_is_told_with_place_and_remedy():
    rig = Rig('type: "SoftmaxWithLoss"', (1, 3, 2, 2), (1, 2, 2))
    with pytest.raises(_loss.LabelError, match=r"label 7 at \(n, h, w\) = \(0, 1, 0\).*0 to 2"):
        rig.forward(torch.zeros(1, 3, 2, 2).numpy(), [[[0, 1], [7, 2]]])
