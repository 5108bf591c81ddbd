"""Fully convolutional nets from an experiment's row: data layer, backbone, skip heads, losses.

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


#: Of early fusion: what the convolution over all channels is called, so that no published weights
#: for three channels are taken for it.
FIRST = {"vgg16": "conv1_1_bgrd"}


def build(experiment, phase):
    """The NetParameter of one experiment.

    phase: "train" and "val" read their data layer and end in a loss for each output; "deploy" reads
    an Input, leaves out dropout, and ends in the blob `score`, 1×classes×H×W, or `score_…`.
    """
    n = caffe.NetSpec()
    images = _add_data(n, experiment.dataset, phase)
    head = _head(experiment)
    if experiment.fusion == "late":
        _add_late_fusion(n, images, experiment, phase, head)
        return n.to_proto()
    image, first = images[0], {}
    if experiment.fusion == "early":
        n.data = image = L.Concat(*images)
        first = dict(first=FIRST[experiment.backbone])
    features = _add_trunk(n, image, experiment, phase, **first)
    for output in experiment.dataset.outputs:
        n["score_fr" + output.suffix] = coarse = _score(features.top, output.classes, head)

        def skip(pool, output=output):
            return _add_skip(n, features.pools[pool], pool, experiment.streams, output, head)

        _add_upsampling(n, coarse, skip, experiment.streams, features.padded, output, image, head)
        _add_loss(n, output, phase, head)
    return n.to_proto()


def widened(experiment):
    """(first convolution, the one that trained weights have) of early fusion; None otherwise."""
    if experiment.fusion != "early":
        return None
    return FIRST[experiment.backbone], "conv1_1"


def _head(experiment):
    head = BACKBONES[experiment.backbone][1] if experiment.backbone in BACKBONES else _OWN_HEAD
    return head if experiment.normalize is None else head._replace(normalize=experiment.normalize)


def _add_data(n, dataset, phase):
    """The data layer or the Input; returns the tops of the images."""
    names = [blob.blob for blob in dataset.inputs]
    if phase == "deploy":
        shapes = [dict(dim=[1, blob.channels] + list(dataset.deploy_size))
                  for blob in dataset.inputs]
        tops = L.Input(name="input", ntop=len(names), shape=shapes)
    else:
        source = getattr(dataset, phase)
        names += [output.label for output in dataset.outputs]
        tops = L.Python(module=source.module, layer=source.layer, ntop=len(names),
                        param_str=repr(dict(source.params)))
    tops = tops if len(names) > 1 else (tops,)
    for name, top in zip(names, tops):
        n[name] = top
    return tops[:len(dataset.inputs)]


def _add_trunk(n, image, experiment, phase, **names):
    if experiment.backbone in BACKBONES:
        add = BACKBONES[experiment.backbone][0]
        return add(n, image, dropout=phase != "deploy", **names)
    return small.add(n, image, experiment.backbone)


def _add_late_fusion(n, images, experiment, phase, head):
    """A whole trunk for each image blob; their scores are averaged, those of the skips too."""
    (output,) = experiment.dataset.outputs
    names = [blob.blob for blob in experiment.dataset.inputs]
    trunks = []
    for name, image in zip(names, images):
        trunks.append(_add_trunk(n, image, experiment, phase, suffix=name))
        n["score_fr" + name] = _score(trunks[-1].top, output.classes, head)

    def average(scores):
        return L.Eltwise(*[n[scores + name] for name in names], operation=P.Eltwise.SUM,
                         coeff=[1 / len(names)] * len(names))

    def skip(pool):
        for name, features in zip(names, trunks):
            n[f"score_{pool}{name}"] = _score(features.pools[pool], output.classes, head)
        n[f"score_{pool}_fused"] = fused = average("score_" + pool)
        return fused

    n.score_fused = average("score_fr")
    _add_upsampling(n, n.score_fused, skip, experiment.streams, trunks[0].padded, output,
                    images[0], head)
    _add_loss(n, output, phase, head)


def _score(bottom, classes, head):
    more = dict(weight_filler=head.filler) if head.filler else {}
    return L.Convolution(
        bottom, num_output=classes, kernel_size=1, pad=0, param=LEARNED, **more
    )


def _add_skip(n, bottom, pool, streams, output, head):
    """The score of a finer pool, scaled down first where all streams are trained at once."""
    if streams.endswith("atonce"):
        if "scale_" + pool not in n.tops:  # one for all outputs
            filler = dict(type="constant", value=ATONCE_SCALE[pool])
            n["scale_" + pool] = L.Scale(bottom, filler=filler, param=[dict(lr_mult=0)])
        bottom = n["scale_" + pool]
    n["score_" + pool + output.suffix] = fine = _score(bottom, output.classes, head)
    return fine


def _upsample(bottom, classes, factor, head, last=False):
    kernel = 2 * factor - (1 if head.odd and last else 0)
    param = dict(num_output=classes, kernel_size=kernel, stride=factor, bias_term=False)
    if head.grouped:
        param.update(group=classes, weight_filler=dict(type="bilinear"))
    return L.Deconvolution(bottom, convolution_param=param, param=[dict(lr_mult=0)])


def _add_upsampling(n, coarse, skip, streams, padded, output, image, head):
    """Add upscore2 … score: upsample `coarse`, at stride 32, and add the skips on the way.

    skip(pool): adds a score of that pool and returns it. padded: which of two blobs that are added
    is the larger (see Features).
    """
    suffix, classes = output.suffix, output.classes
    stride = 32
    name = "upscore2" + suffix
    for pool in SKIPS[streams]:
        n[name] = coarse = _upsample(coarse, classes, 2, head)
        fine = skip(pool)
        # The larger of the two is cropped to the smaller.
        if padded:
            n[f"score_{pool}{suffix}c"] = fine = crop(fine, coarse)
        else:
            n[name + "c"] = coarse = crop(coarse, fine)
        n[f"fuse_{pool}{suffix}"] = coarse = L.Eltwise(coarse, fine, operation=P.Eltwise.SUM)
        stride //= 2
        name = f"upscore_{pool}{suffix}"
    # "upscore" alone is the 32s net's; the others say their stride.
    last = "upscore{}{}".format("" if stride == 32 else stride, suffix)
    n[last] = _upsample(coarse, classes, stride, head, last=True)
    n["score" + suffix] = crop(n[last], image)


def _add_loss(n, output, phase, head):
    if phase == "deploy":
        return
    n[output.loss] = L.SoftmaxWithLoss(
        n["score" + output.suffix], n[output.label],
        loss_param=dict(ignore_label=IGNORE, normalize=head.normalize))
