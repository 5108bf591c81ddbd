"""The table of classifiers: name → builder, input, mean, number of parameters."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

from fcn.classifiers import (
    alexnet,
    cifar10,
    efficientnet,
    googlenet,
    lenet,
    lstm,
    mobilenet,
    resnet,
    squeezenet,
    vgg,
)
from segdata import means

#: build: form → NetParameter. input: N×C×H×W of deploy, whose H×W is also the crop; None where the
#: inputs are several. mean: subtracted, BGR, 0–255, before `scale`; None where a mean image or
#: nothing is. parameters: numbers that deploy learns: weights, biases, scales; BatchNorm's
#: statistics are not among them. measured: BatchNorm's three blobs. old: the form in which deploy
#: was published: "v1" (`layers`), "input" (`input_dim` before `layer`s) or None (an Input layer).
#: file: what the published caffemodel is called.
Classifier = namedtuple("Classifier", "name build input mean scale parameters measured old file")

MEAN = means.ILSVRC
WHOLE = (104.0, 117.0, 123.0)

_ROWS = (
    (
        "alexnet",
        alexnet.alexnet_net,
        alexnet.SHAPE,
        MEAN,
        1,
        60965224,
        0,
        "v1",
        "bvlc_alexnet.caffemodel",
    ),
    (
        "caffenet",
        alexnet.caffenet,
        alexnet.SHAPE,
        MEAN,
        1,
        60965224,
        0,
        "v1",
        "bvlc_reference_caffenet.caffemodel",
    ),
    (
        "vgg16",
        vgg.vgg16_net,
        vgg.SHAPE,
        vgg.MEAN,
        1,
        138357544,
        0,
        "v1",
        "VGG_ILSVRC_16_layers.caffemodel",
    ),
    (
        "vgg19",
        vgg.vgg19_net,
        vgg.SHAPE,
        vgg.MEAN,
        1,
        143667240,
        0,
        "v1",
        "VGG_ILSVRC_19_layers.caffemodel",
    ),
    (
        "googlenet",
        googlenet.googlenet,
        googlenet.SHAPE,
        WHOLE,
        1,
        6998552,
        0,
        "v1",
        "bvlc_googlenet.caffemodel",
    ),
    (
        "resnet50",
        resnet.resnet50,
        resnet.SHAPE,
        WHOLE,
        1,
        25557096,
        53173,
        "input",
        "ResNet-50-model.caffemodel",
    ),
    (
        "resnet101",
        resnet.resnet101,
        resnet.SHAPE,
        WHOLE,
        1,
        44549160,
        105448,
        "input",
        "ResNet-101-model.caffemodel",
    ),
    (
        "resnet152",
        resnet.resnet152,
        resnet.SHAPE,
        WHOLE,
        1,
        60192808,
        151579,
        "input",
        "ResNet-152-model.caffemodel",
    ),
    (
        "squeezenet1.0",
        squeezenet.squeezenet10,
        squeezenet.SHAPE,
        WHOLE,
        1,
        1248424,
        0,
        None,
        "squeezenet_v1.0.caffemodel",
    ),
    (
        "squeezenet1.1",
        squeezenet.squeezenet11,
        squeezenet.SHAPE,
        WHOLE,
        1,
        1235496,
        0,
        None,
        "squeezenet_v1.1.caffemodel",
    ),
    (
        "mobilenet1",
        mobilenet.mobilenet1,
        mobilenet.SHAPE,
        mobilenet.MEAN,
        mobilenet.SCALE,
        4231976,
        21915,
        "input",
        "mobilenet.caffemodel",
    ),
    (
        "mobilenet2",
        mobilenet.mobilenet2,
        mobilenet.SHAPE,
        mobilenet.MEAN,
        mobilenet.SCALE,
        3505960,
        34229,
        "input",
        "mobilenet_v2.caffemodel",
    ),
    *(
        (
            f"efficientnet-lite{variant}",
            efficientnet.lite(variant),
            efficientnet.shape(variant),
            efficientnet.MEAN,
            efficientnet.SCALE,
            parameters,
            measured,
            None,
            f"efficientnet-lite{variant}.caffemodel",
        )
        for variant, parameters, measured in (
            (0, 4652008, 42065),
            (1, 5416680, 53728),
            (2, 6092072, 58160),
        )
    ),
    (
        "lenet",
        lenet.lenet,
        lenet.SHAPE,
        None,
        lenet.SCALE,
        431080,
        0,
        None,
        "lenet_iter_10000.caffemodel",
    ),
    (
        "siamese",
        lenet.siamese,
        (100, 1, 28, 28),
        None,
        lenet.SCALE,
        431102,
        0,
        None,
        "mnist_siamese_iter_50000.caffemodel",
    ),
    (
        "cifar10-quick",
        cifar10.quick,
        cifar10.SHAPE,
        None,
        1,
        145578,
        0,
        None,
        "cifar10_quick_iter_5000.caffemodel",
    ),
    (
        "cifar10-full",
        cifar10.full,
        cifar10.SHAPE,
        None,
        1,
        89578,
        0,
        None,
        "cifar10_full_iter_70000.caffemodel",
    ),
    ("lrcn", lstm.lrcn, None, None, 1, 37618801, 0, "input", "lrcn_iter_110000.caffemodel"),
    ("lrcn-small", lstm.lrcn_small, None, None, 1, 13394, 0, "input", None),
)

CLASSIFIERS = OrderedDict((row[0], Classifier(*row)) for row in _ROWS)


def classifier(name: str) -> Classifier:
    """One row of the table; LookupError names the known ones."""
    if name not in CLASSIFIERS:
        known = ", ".join(CLASSIFIERS)
        raise LookupError(
            f"no classifier {name!r} in fcn/classifiers/catalog.py; there are {known}"
        )
    return CLASSIFIERS[name]
