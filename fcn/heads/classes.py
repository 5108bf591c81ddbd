"""The decoder of `fusion`, and a score of what the classifier knows of the classes already.

The trunk's last layer was trained to tell a thousand classes, airliners, tabbies and school buses
among them. `score_classes`, a 1×1 convolution of its features, starts from the classifier's own
weights of those that a class of the dataset consists of (`surgery.take_classes`), so that it names
things before anything is trained. It is coarse: it is upsampled, and the score of the decoder, here
with BatchNorm on its 1×1 convolutions, is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.geometry.align import crop
from fcn.heads import fusion

if TYPE_CHECKING:
    from fcn.backbones import Features
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft

#: The layer that starts from a classifier's weights.
SCORE = "score_classes"

#: Its lr_mult. Most is known already, and Adam's steps have the size of the rate.
RATE = 0.05


def add(d: Draft, features: Features, output: Output) -> None:
    n, suffix, stride = d.n, output.suffix, d.stride
    n["score_fr" + suffix] = fine = d.score(fusion.mixed(d, features, norm=True), output.classes)
    n[SCORE + suffix] = coarse = L.Convolution(
        features.top,
        num_output=output.classes,
        kernel_size=1,
        param=[dict(lr_mult=RATE, decay_mult=1), dict(lr_mult=RATE, decay_mult=0)],
    )
    if stride < features.stride:
        name = "upscore_classes" + suffix
        n[name] = coarse = d.upsample(coarse, output.classes, features.stride // stride)
        if features.padded:
            n[f"score_fr{suffix}c"] = fine = crop(fine, coarse)
        else:
            n[name + "c"] = coarse = crop(coarse, fine)
    n["fuse_classes" + suffix] = top = L.Eltwise(coarse, fine, operation=P.Eltwise.SUM)
    d.finish(top, output, stride)
