"""What train.py trains on a GPU follows from the memory that is free there, and from the cores."""

import os

import pytest
from fcn_helpers import ROOT
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn.errors import StartError
from fcn.geometry.fields import memory
from fcn.geometry.ops import read_ops
from fcn.own.recipe import STARTS, crop_and_batch, workers

GB = 10**9
NETS = {"ilsvrc": "voc-fcn4s-lite0", "voc": "voc-fcn4s-lite0", "scratch": "camvid-fcn8s"}


@pytest.mark.parametrize("start", STARTS)
def test_the_memory_of_a_pixel_is_what_the_geometry_says(start):
    deploy = caffe_pb2.NetParameter()
    with open(os.path.join(ROOT, "nets", NETS[start], "deploy.prototxt"), encoding="utf-8") as text:
        text_format.Merge(text.read(), deploy)
    pixel = memory(read_ops(deploy), 385, 385, unrolled=False) / 385**2
    assert abs(STARTS[start].pixel / pixel - 1) < 0.05


@pytest.mark.parametrize(
    ("start", "free", "expected"),
    [
        ("ilsvrc", None, (385, 16)),
        ("ilsvrc", 80 * GB, (385, 16)),
        ("ilsvrc", 15.5 * GB, (385, 12)),
        ("ilsvrc", 11.5 * GB, (385, 8)),
        ("ilsvrc", 7.5 * GB, (385, 6)),
        ("ilsvrc", 3.5 * GB, (225, 4)),
        ("scratch", 7.5 * GB, (385, 16)),
        ("scratch", 3.5 * GB, (385, 8)),
    ],
)
def test_crops_and_batches_fit_into_the_free_memory(start, free, expected):
    assert crop_and_batch(STARTS[start].pixel, free) == expected


def test_too_little_memory_is_told_with_what_to_do():
    with pytest.raises(StartError, match=r"0\.9 GB of free memory.*need 1\..*or train with --cpu"):
        crop_and_batch(STARTS["voc"].pixel, 0.9 * GB)


def test_workers_leave_the_training_a_core():
    assert [workers(n) for n in (1, 2, 3, 4, 64)] == [1, 1, 2, 3, 3]
