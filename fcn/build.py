"""Fully convolutional nets from an experiment's row: data layer, backbone, head, losses.

fcn/backbones has the trunks and fcn/heads what makes scores of their features. Upsampling is a
frozen Deconvolution with bilinear weights (`surgery.interp`) unless the row says that it learns;
Crop layers align what is brought together, with offsets from fcn/geometry/align.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import caffe
from caffe import layers as L
from fcn.backbones import Trunk
from fcn.catalog import BACKBONES, HEADS, IGNORE
from fcn.heads import enlarging
from fcn.heads.draft import Draft

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from caffe.proto import caffe_pb2
    from fcn.backbones import Features
    from fcn.catalog.backbones import Style
    from fcn.catalog.dataset import Dataset, Output
    from fcn.catalog.experiment import Experiment

#: Of early fusion: appended to the name of the convolution over all channels, so that no published
#: weights for three channels are taken for it.
WIDE = "_bgrd"


def build(experiment: Experiment, phase: str) -> caffe_pb2.NetParameter:
    """The NetParameter of one experiment.

    phase: "train" and "val" read their data layer and end in a loss for each output; "deploy" reads
    an Input, leaves out dropout, and ends in the blob `score`, 1×classes×H×W, or `score_…`.
    """
    n = caffe.NetSpec()
    images: Sequence[Top] = _add_data(n, experiment.dataset, phase)
    if experiment.fusion == "early":
        n.data = L.Concat(*images)
        images = [n["data"]]
    d = _draft(n, images[0], experiment, phase)
    head = HEADS[experiment.head]
    if experiment.fusion == "late":
        names = [blob.blob for blob in experiment.dataset.inputs]
        # One by one: each trunk is followed by its own score.
        trunks = (
            (name, _add_trunk(n, image, experiment, phase, name))
            for name, image in zip(names, images)
        )
        (output,) = experiment.dataset.outputs
        head.fuse(d, trunks, output)
        _add_loss(n, output, phase, d.style)
        return n.to_proto()
    features = _add_trunk(n, images[0], experiment, phase)
    for output in experiment.dataset.outputs:
        head.add(d, features, output)
        _add_loss(n, output, phase, d.style)
    return n.to_proto()


def widened(experiment: Experiment) -> tuple[str, str] | None:
    """(first convolution, the one that trained weights have) of early fusion; None otherwise."""
    if experiment.fusion != "early":
        return None
    first = BACKBONES[experiment.backbone].first
    return first + WIDE, first


def _draft(n: NetSpec, image: Top, experiment: Experiment, phase: str) -> Draft:
    backbone = BACKBONES[experiment.backbone]
    style = backbone.style._replace(learned=experiment.learned)
    if experiment.normalize is not None:
        style = style._replace(normalize=experiment.normalize)
    scales = backbone.scales if experiment.at_once else {}
    enlarged = _enlarged(experiment, phase)
    return Draft(n, image, phase, style, experiment.stride, scales, enlarged or (1, 1))


def _enlarged(experiment: Experiment, phase: str) -> tuple[int, int] | None:
    """Training sees its pictures at many sizes anyway: its data layer scales them."""
    return None if phase == "train" else experiment.enlarged


def _add_data(n: NetSpec, dataset: Dataset, phase: str) -> Sequence[Top]:
    """The data layer or the Input; returns the tops of the images."""
    names = [blob.blob for blob in dataset.inputs]
    if phase == "deploy":
        shapes = [
            dict(dim=[1, blob.channels] + list(dataset.deploy_size)) for blob in dataset.inputs
        ]
        tops = L.Input(name="input", ntop=len(names), shape=shapes)
    else:
        source = getattr(dataset, phase)
        names += [output.label for output in dataset.outputs]
        tops = L.Python(
            module=source.module,
            layer=source.layer,
            ntop=len(names),
            param_str=repr(dict(source.params)),
        )
    tops = tops if len(names) > 1 else (tops,)
    for name, top in zip(names, tops):
        n[name] = top
    return tops[: len(dataset.inputs)]


def _add_trunk(
    n: NetSpec, image: Top, experiment: Experiment, phase: str, suffix: str = ""
) -> Features:
    backbone = BACKBONES[experiment.backbone]
    names = {backbone.first: backbone.first + WIDE} if experiment.fusion == "early" else None
    enlarged = _enlarged(experiment, phase)
    if enlarged:
        channels = sum(blob.channels for blob in experiment.dataset.inputs)
        if experiment.fusion != "early":
            channels = experiment.dataset.inputs[0].channels
        image = enlarging.enlarge(n, image, channels, enlarged, suffix)
    trunk = Trunk(n, suffix, names, experiment.fixed)
    return backbone.add(trunk, image, phase, HEADS[experiment.head].classifier)


def _add_loss(n: NetSpec, output: Output, phase: str, style: Style) -> None:
    if phase == "deploy":
        return
    n[output.loss] = L.SoftmaxWithLoss(
        n["score" + output.suffix],
        n[output.label],
        loss_param=dict(ignore_label=IGNORE, normalize=style.normalize),
    )
