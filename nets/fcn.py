"""Fully convolutional nets from an experiment's row: data layer, backbone, skip head, loss.

Streams: the coarsest score, at stride 32, is upsampled by 2 and added to a score of pool4 (16s),
the sum again by 2 and added to a score of pool3 (8s), and what comes out is upsampled to the image
at once. Upsampling is a frozen Deconvolution with bilinear weights (`surgery.interp`); Crop layers
align what is added, with offsets from `coord_map`.
"""

from collections import namedtuple

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from nets.backbones import LEARNED, alexnet, small, vgg16
from nets.catalog import IGNORE

#: How a head is written. grouped: one bilinear kernel per class with its filler, instead of the
#: full classes×classes kernel of the published nets; odd: the last kernel is 2·stride − 1 instead
#: of 2·stride; normalize: the loss is divided by the number of labelled pixels; filler: of the
#: score layers (None: the zeros of the published nets, which learn because the trunk is trained).
Head = namedtuple("Head", "grouped odd normalize filler")

BACKBONES = {
    "vgg16": (vgg16.add, Head(grouped=False, odd=False, normalize=False, filler=None)),
    "alexnet": (alexnet.add, Head(grouped=False, odd=True, normalize=True, filler=None)),
}
_OWN_HEAD = Head(grouped=True, odd=False, normalize=True, filler=dict(type="gaussian", std=0.01))

#: Skips of each kind of net, coarse to fine.
SKIPS = {"32s": (), "16s": ("pool4",), "8s": ("pool4", "pool3"), "8s-atonce": ("pool4", "pool3")}

#: Training all streams at once, the finer pools are scaled down: their values are so much larger
#: that a common learning rate would not do.
ATONCE_SCALE = {"pool4": 0.01, "pool3": 0.0001}


def build(experiment, phase):
    """The NetParameter of one experiment.

    phase: "train" and "val" read their data layer and end in a loss; "deploy" reads an Input,
    leaves out dropout, and ends in the blob `score`, 1×classes×H×W.
    """
    n = caffe.NetSpec()
    dataset = experiment.dataset
    if phase == "deploy":
        n.data = L.Input(name="input", shape=dict(dim=[1, 3] + list(dataset.deploy_size)))
    else:
        source = getattr(dataset, phase)
        n.data, n.label = L.Python(
            module=source.module, layer=source.layer, ntop=2, param_str=repr(dict(source.params))
        )
    if experiment.backbone in BACKBONES:
        add, head = BACKBONES[experiment.backbone]
        features = add(n, n.data, dropout=phase != "deploy")
    else:
        head = _OWN_HEAD
        features = small.add(n, n.data, experiment.backbone)
    add_head(n, features, dataset.classes, experiment.streams, head)
    if phase != "deploy":
        n.loss = L.SoftmaxWithLoss(
            n.score, n.label, loss_param=dict(ignore_label=IGNORE, normalize=head.normalize)
        )
    return n.to_proto()


def _score(bottom, classes, head):
    more = dict(weight_filler=head.filler) if head.filler else {}
    return L.Convolution(
        bottom, num_output=classes, kernel_size=1, pad=0, param=LEARNED, **more
    )


def _upsample(bottom, classes, factor, head, last=False):
    kernel = 2 * factor - (1 if head.odd and last else 0)
    param = dict(num_output=classes, kernel_size=kernel, stride=factor, bias_term=False)
    if head.grouped:
        param.update(group=classes, weight_filler=dict(type="bilinear"))
    return L.Deconvolution(bottom, convolution_param=param, param=[dict(lr_mult=0)])


def add_head(n, features, classes, streams, head):
    """Add score_fr … score to the NetSpec `n`."""
    n.score_fr = coarse = _score(features.top, classes, head)
    stride = 32
    name = "upscore2"
    for pool in SKIPS[streams]:
        n[name] = coarse = _upsample(coarse, classes, 2, head)
        bottom = features.pools[pool]
        if streams.endswith("atonce"):
            filler = dict(type="constant", value=ATONCE_SCALE[pool])
            bottom = L.Scale(bottom, filler=filler, param=[dict(lr_mult=0)])
            n["scale_" + pool] = bottom
        n["score_" + pool] = fine = _score(bottom, classes, head)
        # The larger of the two is cropped to the smaller.
        if features.padded:
            n[f"score_{pool}c"] = fine = crop(fine, coarse)
        else:
            n[name + "c"] = coarse = crop(coarse, fine)
        n["fuse_" + pool] = coarse = L.Eltwise(coarse, fine, operation=P.Eltwise.SUM)
        stride //= 2
        name = "upscore_" + pool
    # "upscore" alone is the 32s net's; the others say their stride.
    last = "upscore{}".format("" if stride == 32 else stride)
    n[last] = _upsample(coarse, classes, stride, head, last=True)
    n.score = crop(n[last], n.data)
