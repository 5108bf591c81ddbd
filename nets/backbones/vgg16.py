"""VGG-16 (Simonyan & Zisserman 2015, configuration D), its classifier turned into convolutions.

nets/classifiers/vgg.py has the nets as they were published.
"""

from caffe import layers as L
from caffe import params as P
from nets.backbones import LEARNED, Features

#: Width and number of the 3×3 convolutions before each pooling.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _conv_relu(n, name, bottom, width, kernel, pad, rename=None, **fields):
    """rename: what the convolution is called instead of conv or fc and its name."""
    n[rename or ("conv" if "_" in name else "fc") + name] = conv = L.Convolution(
        bottom, num_output=width, kernel_size=kernel, stride=1, pad=pad, param=LEARNED, **fields
    )
    n["relu" + name] = relu = L.ReLU(conv, in_place=True)
    return relu


def add_convolutions(n, data, stages=STAGES, pad=1, suffix="", first=None, **fields):
    """Add the layers conv1_1 … pool5 to the NetSpec `n`, reading `data`; returns the pools by name.

    pad: of conv1_1. suffix: of every layer's name. first: another name for conv1_1. fields:
    further fields of every convolution, such as fillers.
    """
    top, pools = data, {}
    for stage, (width, convs) in enumerate(stages, 1):
        for i in range(1, convs + 1):
            own_pad, rename = (pad, first) if (stage, i) == (1, 1) else (1, None)
            name = f"{stage}_{i}{suffix}"
            top = _conv_relu(n, name, top, width, 3, own_pad, rename, **fields)
        top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        n[f"pool{stage}{suffix}"] = pools[f"pool{stage}"] = top
    return pools


def add(n, data, dropout=True, suffix="", first=None, stages=STAGES):
    """Add the layers conv1_1 … drop7 to the NetSpec `n`, reading `data`.

    conv1_1 pads by 100 pixels, so that any image, however small, leaves fc6 something to see.
    `dropout=False` leaves out drop6 and drop7, as deploy nets do. suffix, first: see
    `add_convolutions`.
    """
    pools = add_convolutions(n, data, stages, pad=100, suffix=suffix, first=first)
    top = pools["pool5"]
    for name, kernel in (("6" + suffix, 7), ("7" + suffix, 1)):
        top = _conv_relu(n, name, top, 4096, kernel, 0)
        if dropout:
            n["drop" + name] = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    return Features(top, pools, padded=True)
