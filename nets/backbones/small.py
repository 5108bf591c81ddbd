"""A small backbone of our own, with batch normalisation, that can be trained from scratch.

Every convolution is 3×3 with pad 1, so it keeps the size; every pooling halves it, rounding up. So an
image of any size H×W gives ceil(H/32)×ceil(W/32) at the top, with no border of padding around it.
"""

from collections import namedtuple

from caffe import layers as L
from caffe import params as P
from nets.backbones import Features

#: One row per backbone. stages: the widths of the convolutions before each of the five poolings;
#: top: those after the last; fraction: of the running mean and variance that survives an iteration.
Small = namedtuple("Small", "stages top fraction")

TABLE = {
    # 2.4 million weights.
    "camvid": Small(
        stages=((32, 32), (64, 64), (128, 128), (256, 256), (256,)), top=(256,), fraction=0.98
    ),
    # 0.1 million weights.
    "toy": Small(stages=((12,), (16,), (32,), (48,), (64,)), top=(64,), fraction=0.95),
}

#: BatchNorm's mean, variance and scale factor are measured, not learned.
MEASURED = [dict(lr_mult=0, decay_mult=0)] * 3


def _block(n, name, bottom, width, fraction):
    """Convolution, BatchNorm, Scale, ReLU. The convolution needs no bias: BatchNorm removes it."""
    n["conv" + name] = conv = L.Convolution(
        bottom,
        num_output=width,
        kernel_size=3,
        pad=1,
        bias_term=False,
        weight_filler=dict(type="msra"),
        param=[dict(lr_mult=1, decay_mult=1)],
    )
    n["bn" + name] = normal = L.BatchNorm(
        conv, in_place=True, moving_average_fraction=fraction, param=MEASURED
    )
    n["scale" + name] = scaled = L.Scale(
        normal, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2
    )
    n["relu" + name] = relu = L.ReLU(scaled, in_place=True)
    return relu


def add(n, data, row):
    """Add the layers conv1_1 … pool5 and those of the top to the NetSpec `n`, reading `data`."""
    small, top, pools = TABLE[row], data, {}
    for stage, widths in enumerate(small.stages, 1):
        for i, width in enumerate(widths, 1):
            top = _block(n, "%d_%d" % (stage, i), top, width, small.fraction)
        top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        n["pool%d" % stage] = pools["pool%d" % stage] = top
    for i, width in enumerate(small.top, 1):
        top = _block(n, "%d_%d" % (len(small.stages) + 1, i), top, width, small.fraction)
    return Features(top, pools, padded=False)
