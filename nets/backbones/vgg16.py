"""VGG-16 (Simonyan & Zisserman 2015, configuration D), its classifier turned into convolutions."""

from caffe import layers as L
from caffe import params as P
from nets.backbones import LEARNED, Features

#: Width and number of the 3×3 convolutions before each pooling.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _conv_relu(n, name, bottom, width, kernel, pad):
    n["conv" + name if "_" in name else "fc" + name] = conv = L.Convolution(
        bottom, num_output=width, kernel_size=kernel, stride=1, pad=pad, param=LEARNED
    )
    n["relu" + name] = relu = L.ReLU(conv, in_place=True)
    return relu


def add(n, data, dropout=True):
    """Add the layers conv1_1 … drop7 to the NetSpec `n`, reading `data`.

    conv1_1 pads by 100 pixels, so that any image, however small, leaves fc6 something to see.
    `dropout=False` leaves out drop6 and drop7, as deploy nets do.
    """
    top, pools = data, {}
    for stage, (width, convs) in enumerate(STAGES, 1):
        for i in range(1, convs + 1):
            pad = 100 if (stage, i) == (1, 1) else 1
            top = _conv_relu(n, f"{stage}_{i}", top, width, 3, pad)
        top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        n[f"pool{stage}"] = pools[f"pool{stage}"] = top
    for name, kernel in (("6", 7), ("7", 1)):
        top = _conv_relu(n, name, top, 4096, kernel, 0)
        if dropout:
            n["drop" + name] = top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
    return Features(top, pools, padded=True)
