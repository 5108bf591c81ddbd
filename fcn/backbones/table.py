"""The table of backbones, and how heads are written on each.

How nets on them are usually trained stands in fcn/catalog/experiment.py.
"""

from collections import OrderedDict, namedtuple

from fcn.backbones import alexnet, efficientnet, googlenet, resnet, small, unet, vgg16

#: How a head's layers are written. grouped: one bilinear kernel per class with its filler, instead
#: of the full classes×classes kernel of the published nets; odd: kernels of upsampling are
#: 2·stride − 1 instead of 2·stride, where scores are centred on pixels, not between them;
#: normalize: the loss is divided by the number of labelled pixels; filler: of the score layers
#: (None: the zeros of the published nets, which learn because the trunk is trained); learned: all
#: upsampling but the last learns; fraction: of the running mean and variance of a head's BatchNorm
#: that survives an iteration.
Style = namedtuple(
    "Style", "grouped odd normalize filler learned fraction", defaults=(False, 0.999)
)

_PUBLISHED = Style(grouped=False, odd=False, normalize=False, filler=None)
_TRAINED = Style(grouped=True, odd=True, normalize=True, filler=None)
#: Weights of the head see the statistics of thousands of crops, not of 20 steps.
_LITE = _TRAINED._replace(fraction=0.97)
_SCRATCH = Style(
    grouped=True, odd=False, normalize=True, filler=dict(type="gaussian", std=0.01), fraction=0.95
)

#: Training all streams at once, the skips of a trunk without batch normalisation are scaled down:
#: their values are so much larger that a common learning rate would not do. Stride → factor.
SCALES = {16: 0.01, 8: 0.0001}

#: add: see fcn/backbones/__init__.py; first: its first convolution; style: Style; scales: of the
#: skips at once, {} where they are normalised.
Backbone = namedtuple("Backbone", "add first style scales")


def _lite(variant, norm):
    return lambda n, data, phase, classifier=True: efficientnet.add(
        n, data, phase, classifier, variant, norm
    )


def _small(name):
    return lambda n, data, phase, classifier=True: small.add(n, data, name)


def _unet(name):
    return lambda n, data, phase, classifier=True: unet.add(n, data, phase, name)


BACKBONES = OrderedDict(
    (
        ("vgg16", Backbone(vgg16.add, "conv1_1", _PUBLISHED, SCALES)),
        ("vgg19", Backbone(vgg16.add19, "conv1_1", _PUBLISHED, SCALES)),
        (
            "alexnet",
            Backbone(alexnet.add, "conv1", _PUBLISHED._replace(odd=True, normalize=True), SCALES),
        ),
        ("googlenet", Backbone(googlenet.add, "conv1/7x7_s2", _TRAINED, SCALES)),
        ("resnet50", Backbone(resnet.add50, "conv1", _TRAINED, {})),
        *(
            (name, Backbone(_lite(*kind), "stem", _LITE, {}))
            for name, kind in efficientnet.NAMES.items()
        ),
        ("camvid", Backbone(_small("camvid"), "conv1_1", _SCRATCH, {})),
        ("toy", Backbone(_small("toy"), "conv1_1", _SCRATCH, {})),
        ("unet", Backbone(_unet("unet"), "conv1_1", _SCRATCH, {})),
        ("unet-small", Backbone(_unet("unet-small"), "conv1_1", _SCRATCH, {})),
    )
)
