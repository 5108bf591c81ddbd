"""ResNet-50, 101 and 152 (He et al. 2016), as their authors published them for Caffe."""

from caffe import layers as L
from caffe import params as P
from nets.classifiers.parts import MSRA, Draft

SHAPE = (1, 3, 224, 224)
STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
#: What is measured, not learned.
MEASURED = [dict(lr_mult=0, decay_mult=0)] * 3


def _unit(d, name, suffix, bottom, width, kernel=1, stride=1, bias=False, relu=None):
    """Convolution, BatchNorm, Scale: `name`, bn`suffix`, scale`suffix`, and the ReLU `relu`."""
    weight = dict(weight_filler=MSRA) if d.training else {}
    d.n[name] = top = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        stride=stride,
        pad=kernel // 2,
        bias_term=bias,
        **weight
    )
    stored = {} if d.training else dict(use_global_stats=True)
    d.n["bn" + suffix] = top = L.BatchNorm(top, in_place=True, param=MEASURED, **stored)
    d.n["scale" + suffix] = top = L.Scale(top, in_place=True, bias_term=True)
    if relu:
        d.n[relu] = top = L.ReLU(top, in_place=True)
    return top


def _block(d, name, bottom, width, stride, project):
    """The bottleneck res`name`: 1×1, 3×3, 1×1, and around it the input, projected in a stage's
    first block; that block's 1×1 convolutions have the stride."""
    branch = f"res{name}_branch"
    around = bottom
    if project:
        around = _unit(d, branch + "1", f"{name}_branch1", bottom, 4 * width, stride=stride)
    top = bottom
    for letter, size, kernel, step in (
        ("a", width, 1, stride), ("b", width, 3, 1), ("c", 4 * width, 1, 1)
    ):
        relu = f"{branch}2{letter}_relu" if letter != "c" else None
        suffix = f"{name}_branch2{letter}"
        top = _unit(d, f"{branch}2{letter}", suffix, top, size, kernel, step, relu=relu)
    d.n["res" + name] = top = L.Eltwise(around, top)
    d.n[f"res{name}_relu"] = top = L.ReLU(top, in_place=True)
    return top


def _block_names(depth, stage, count):
    """a, b, c …; the long stages of the deeper nets count on as b1, b2 …"""
    if depth > 50 and stage in (3, 4):
        return ["a"] + [f"b{i}" for i in range(1, count)]
    return [chr(ord("a") + i) for i in range(count)]


def _build(depth, form):
    d = Draft(f"ResNet-{depth}", form)
    d.ilsvrc(SHAPE, (32, 25), mirror=True, mean_value=[104, 117, 123])
    # conv1 of the 50-layer net has a bias, which its BatchNorm takes away again.
    top = _unit(d, "conv1", "_conv1", d.n.data, 64, 7, 2, bias=depth == 50, relu="conv1_relu")
    d.n.pool1 = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    for stage, count in enumerate(STAGES[depth], 2):
        for i, letter in enumerate(_block_names(depth, stage, count)):
            stride = 2 if i == 0 and stage > 2 else 1
            top = _block(d, f"{stage}{letter}", top, 32 * 2 ** (stage - 1), stride, i == 0)
    d.n.pool5 = top = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    weight = dict(weight_filler=MSRA) if d.training else {}
    d.n.fc1000 = top = L.InnerProduct(top, num_output=1000, **weight)
    d.end(top)
    return d.net()


def resnet50(form):
    return _build(50, form)


def resnet101(form):
    return _build(101, form)


def resnet152(form):
    return _build(152, form)
