"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016): fire modules, no fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.classifiers.parts import XAVIER, ClassifierDraft, gaussian

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

SHAPE = (10, 3, 227, 227)

#: Widths of squeeze1x1, and of expand1x1 and expand3x3 each.
FIRES = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}


def _conv(
    d: ClassifierDraft,
    name: str,
    relu: str,
    bottom: Top,
    width: int,
    kernel: int,
    weight: dict[str, Any] = XAVIER,
    **fields: Any,
) -> Top:
    filled = dict(weight_filler=weight) if d.training else {}
    d.n[name] = top = L.Convolution(
        bottom, num_output=width, kernel_size=kernel, **dict(fields, **filled)
    )
    d.n[relu] = top = L.ReLU(top, in_place=True)
    return top


def _fire(d: ClassifierDraft, number: int, bottom: Top) -> Top:
    squeeze, expand = FIRES[number]
    name = f"fire{number}/"

    def conv(part: str, bottom: Top, width: int, kernel: int, **fields: Any) -> Top:
        return _conv(d, name + part, f"{name}relu_{part}", bottom, width, kernel, **fields)

    small = conv("squeeze1x1", bottom, squeeze, 1)
    one = conv("expand1x1", small, expand, 1)
    three = conv("expand3x3", small, expand, 3, pad=1)
    d.n[name + "concat"] = top = L.Concat(one, three)
    return top


def _build(
    form: str, width: int, kernel: int, pools: Sequence[int], last_pad: int
) -> caffe_pb2.NetParameter:
    """pools: the fires that a pooling of their number follows."""
    d = ClassifierDraft("SqueezeNet", form)
    d.ilsvrc(SHAPE, (32, 25), mean_value=[104, 117, 123])
    top = _conv(d, "conv1", "relu_conv1", d.n.data, width, kernel, stride=2)
    d.n.pool1 = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    for number in FIRES:
        top = _fire(d, number, top)
        if number in pools:
            top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
            d.n[f"pool{number}"] = top
    d.n.drop9 = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    top = _conv(d, "conv10", "relu_conv10", top, 1000, 1, gaussian(0.01), pad=last_pad)
    d.n.pool10 = top = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
    d.end(top, top5=True)
    return d.net()


def squeezenet10(form: str) -> caffe_pb2.NetParameter:
    """Version 1.0; its conv10 pads, so that the mean is over a border of biases too."""
    return _build(form, 96, 7, (4, 8), 1)


def squeezenet11(form: str) -> caffe_pb2.NetParameter:
    """Version 1.1: smaller and earlier poolings, 2.4 times less computation."""
    return _build(form, 64, 3, (3, 5), 0)
