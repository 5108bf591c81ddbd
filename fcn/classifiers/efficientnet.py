"""EfficientNet-Lite0, 1 and 2 (Google, 2020), with symmetric padding: see
fcn/backbones/efficientnet.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.backbones import LEARNED, efficientnet
from fcn.classifiers.parts import MSRA, ClassifierDraft
from segdata import means

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

MEAN = means.EFFICIENTNET
SCALE = 1 / efficientnet.DIVISOR

#: Height and width of the images that a variant was trained on.
SIZES = {0: 224, 1: 240, 2: 260}


def shape(variant: int) -> tuple[int, int, int, int]:
    return (1, 3, SIZES[variant], SIZES[variant])


def lite(variant: int) -> Callable[[str], caffe_pb2.NetParameter]:
    """form → NetParameter."""

    def build(form: str) -> caffe_pb2.NetParameter:
        d = ClassifierDraft(f"EfficientNet-Lite{variant}", form)
        d.ilsvrc(shape(variant), (32, 25), mirror=True, mean_value=list(MEAN), scale=SCALE)
        norm = "learning" if d.training else "frozen"
        ends, w = efficientnet.add_blocks(d.n, d.n.data, variant, norm, 1, d.training)
        top = w.unit("head", ends[7][1], efficientnet.HEAD)
        d.n.pool = top = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
        d.n.fc = top = L.InnerProduct(top, num_output=1000, param=LEARNED, **d.fillers(MSRA))
        d.end(top)
        return d.net()

    return build
