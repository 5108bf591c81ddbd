"""MobileNet v1 (Howard et al. 2017) and v2 (Sandler et al. 2018), with the names of their
published Caffe models: depthwise convolutions have as many groups as channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe import layers as L
from caffe import params as P
from fcn.backbones import LEARNED
from fcn.classifiers.parts import MSRA, ClassifierDraft
from segdata import means

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from caffe.proto import caffe_pb2

SHAPE = (1, 3, 224, 224)
MEAN = means.MOBILENET
SCALE = 0.017

#: v1: name, width of the pointwise convolution, stride of the depthwise one before it.
SEPARABLE = (
    ("2_1", 64, 1),
    ("2_2", 128, 2),
    ("3_1", 128, 1),
    ("3_2", 256, 2),
    ("4_1", 256, 1),
    ("4_2", 512, 2),
    ("5_1", 512, 1),
    ("5_2", 512, 1),
    ("5_3", 512, 1),
    ("5_4", 512, 1),
    ("5_5", 512, 1),
    ("5_6", 1024, 2),
    ("6", 1024, 1),
)
#: v2: name, width of the bottleneck, stride; the 2_1 does not expand, the others six times.
BOTTLENECKS = (
    ("2_1", 16, 1),
    ("2_2", 24, 2),
    ("3_1", 24, 1),
    ("3_2", 32, 2),
    ("4_1", 32, 1),
    ("4_2", 32, 1),
    ("4_3", 64, 1),
    ("4_4", 64, 1),
    ("4_5", 64, 1),
    ("4_6", 64, 1),
    ("4_7", 96, 2),
    ("5_1", 96, 1),
    ("5_2", 96, 1),
    ("5_3", 160, 2),
    ("6_1", 160, 1),
    ("6_2", 160, 1),
    ("6_3", 320, 1),
)

WEIGHT = [dict(lr_mult=1, decay_mult=1)]
MEASURED = [dict(lr_mult=0, decay_mult=0)] * 3


def _unit(
    d: ClassifierDraft,
    name: str,
    bottom: Top,
    width: int,
    kernel: int = 1,
    stride: int = 1,
    depthwise: bool = False,
    relu: bool = True,
    **norm: Any,
) -> Top:
    """Convolution `name`, `name`/bn, `name`/scale, and the ReLU relu…; `norm`: BatchNorm's."""
    more: dict[str, Any] = dict(weight_filler=MSRA) if d.training else {}
    if depthwise:
        more.update(group=width, engine=P.Convolution.CAFFE)
    d.n[name] = top = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=kernel // 2,
        bias_term=False,
        param=WEIGHT,
        **more,
    )
    d.n[name + "/bn"] = top = L.BatchNorm(top, param=MEASURED, **norm)
    d.n[name + "/scale"] = top = L.Scale(top, in_place=True, bias_term=True)
    if relu:
        d.n[name.replace("conv", "relu", 1)] = top = L.ReLU(top, in_place=True)
    return top


def _begin(name: str, form: str) -> ClassifierDraft:
    d = ClassifierDraft(name, form)
    d.ilsvrc(SHAPE, (32, 32), mirror=True, mean_value=list(MEAN), scale=SCALE)
    return d


def _end(d: ClassifierDraft, top: Top) -> caffe_pb2.NetParameter:
    d.n.pool6 = top = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
    d.n.fc7 = top = L.Convolution(
        top, num_output=1000, kernel_size=1, param=LEARNED, **d.fillers(MSRA)
    )
    d.end(top)
    return d.net()


def mobilenet1(form: str) -> caffe_pb2.NetParameter:
    """Version 1, full width."""
    d = _begin("MOBILENET", form)
    top, before = _unit(d, "conv1", d.n.data, 32, 3, 2), 32
    for name, width, stride in SEPARABLE:
        top = _unit(d, f"conv{name}/dw", top, before, 3, stride, depthwise=True)
        top = _unit(d, f"conv{name}/sep", top, width)
        before = width
    return _end(d, top)


def mobilenet2(form: str) -> caffe_pb2.NetParameter:
    """Version 2, full width; the published net uses stored statistics in training too."""
    d = _begin("MOBILENET_V2", form)
    norm: dict[str, Any] = dict(use_global_stats=True, eps=1e-5)
    top, before = _unit(d, "conv1", d.n.data, 32, 3, 2, **norm), 32
    for name, width, stride in BOTTLENECKS:
        wide = before if name == "2_1" else 6 * before
        inner = _unit(d, f"conv{name}/expand", top, wide, **norm)
        inner = _unit(d, f"conv{name}/dwise", inner, wide, 3, stride, depthwise=True, **norm)
        inner = _unit(d, f"conv{name}/linear", inner, width, relu=False, **norm)
        if before == width and stride == 1:
            d.n["block_" + name] = inner = L.Eltwise(top, inner)
        top, before = inner, width
    return _end(d, _unit(d, "conv6_4", top, 1280, **norm))
