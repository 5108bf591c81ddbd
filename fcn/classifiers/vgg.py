"""VGG-16 and VGG-19 (Simonyan & Zisserman 2015, configurations D and E)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fcn.backbones import vgg16
from fcn.classifiers.parts import ClassifierDraft, gaussian
from segdata import means

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

SHAPE = (10, 3, 224, 224)
MEAN = means.VGG


def _build(layers: int, stages: Sequence[Any], form: str) -> caffe_pb2.NetParameter:
    d = ClassifierDraft(f"VGG_ILSVRC_{layers}_layers", form)
    d.ilsvrc(SHAPE, (64, 50), mirror=True, mean_value=list(MEAN))
    filled = d.fillers(gaussian(0.01))
    top = vgg16.add_convolutions(d.n, d.n.data, stages, **filled)["pool5"]
    for number in "67":
        top = d.relu_drop(number, d.inner_product("fc" + number, top, 4096, gaussian(0.005)))
    d.end(d.inner_product("fc8", top, 1000, gaussian(0.01)))
    return d.net()


def vgg16_net(form: str) -> caffe_pb2.NetParameter:
    """16 layers with weights."""
    return _build(16, vgg16.STAGES, form)


def vgg19_net(form: str) -> caffe_pb2.NetParameter:
    """19 layers with weights."""
    return _build(19, vgg16.STAGES_19, form)
