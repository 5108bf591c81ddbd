"""AlexNet (Krizhevsky et al. 2012) in CaffeNet's order, pooling before normalisation.

Its classifier is turned into convolutions.
"""

from caffe import layers as L
from caffe import params as P
from nets.backbones import Features

#: name, width, kernel, stride, pad, group, and what follows the ReLU.
LAYERS = (
    ("1", 96, 11, 4, 100, 1, ("pool", "norm")),
    ("2", 256, 5, 1, 2, 2, ("pool", "norm")),
    ("3", 384, 3, 1, 1, 1, ()),
    ("4", 384, 3, 1, 1, 2, ()),
    ("5", 256, 3, 1, 1, 2, ("pool",)),
    ("6", 4096, 6, 1, 0, 1, ("drop",)),
    ("7", 4096, 1, 1, 0, 1, ("drop",)),
)


def add(n, data, dropout=True):
    """Add the layers conv1 … drop7 to the NetSpec `n`, reading `data`.

    No multipliers: weights and biases of the trunk learn alike, unlike VGG-16's.
    """
    top, pools = data, {}
    for name, width, kernel, stride, pad, group, after in LAYERS:
        conv = L.Convolution(
            top, num_output=width, kernel_size=kernel, stride=stride, pad=pad, group=group
        )
        n["conv" + name if name < "6" else "fc" + name] = conv
        n["relu" + name] = top = L.ReLU(conv, in_place=True)
        for kind in after:
            if kind == "pool":
                top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
                pools["pool" + name] = top
            elif kind == "norm":
                top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
            elif not dropout:
                continue
            else:
                top = L.Dropout(top, dropout_ratio=0.5, in_place=True)
            n[kind + name] = top
    return Features(top, pools, padded=True)
