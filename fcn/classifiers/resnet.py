"""ResNet-50, 101 and 152 (He et al. 2016), as their authors published them for Caffe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.backbones import resnet
from fcn.classifiers.parts import MSRA, ClassifierDraft

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

SHAPE = (1, 3, 224, 224)


def _build(depth: int, form: str) -> caffe_pb2.NetParameter:
    d = ClassifierDraft(f"ResNet-{depth}", form)
    d.ilsvrc(SHAPE, (32, 25), mirror=True, mean_value=[104, 117, 123])
    weight = dict(weight_filler=MSRA) if d.training else {}
    stored = {} if d.training else dict(use_global_stats=True)
    ends = resnet.add_blocks(d.n, d.n.data, depth, convolution=weight, norm=stored)
    top = list(ends.values())[-1]
    d.n.pool5 = top = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    d.n.fc1000 = top = L.InnerProduct(top, num_output=1000, **weight)
    d.end(top)
    return d.net()


def resnet50(form: str) -> caffe_pb2.NetParameter:
    return _build(50, form)


def resnet101(form: str) -> caffe_pb2.NetParameter:
    return _build(101, form)


def resnet152(form: str) -> caffe_pb2.NetParameter:
    return _build(152, form)
