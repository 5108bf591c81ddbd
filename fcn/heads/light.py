"""The light head that later PyTorch ports put in the place of fc6 and fc7.

A 3×3 convolution to a quarter of the channels, BatchNorm, ReLU, dropout 0.1 and a 1×1 score of the
coarsest features; skips are added as in the FCN's own head. Those ports interpolate to the image's
size; here Deconvolution and Crop give the exact size, which BVLC Caffe can run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from caffe import layers as L
from fcn.heads import sums

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top
    from fcn.backbones import Features
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft


def _score(d: Draft, features: Features, output: Output, stream: str = "") -> Top:
    n, name = d.n, "fr" + stream
    if "light_" + name not in n.tops:  # one for all outputs
        width = max(1, features.channels // 4)
        n["light_" + name] = L.Convolution(
            features.top,
            num_output=width,
            kernel_size=3,
            pad=1,
            bias_term=False,
            param=[dict(lr_mult=1, decay_mult=1)],
            weight_filler=dict(type="msra"),
        )
        top = d.norm_relu(name, n["light_" + name])
        if d.phase != "deploy":
            n["drop_" + name] = top = L.Dropout(top, dropout_ratio=0.1, in_place=True)
    n["score_" + name + output.suffix] = top = d.score(_last(n, name), output.classes)
    return top


def _last(n: NetSpec, name: str) -> Top:
    """The last layer in place on light_…: what comes next must stand behind it."""
    return n["drop_" + name] if "drop_" + name in n.tops else n["relu_" + name]


def add(d: Draft, features: Features, output: Output) -> None:
    sums.add(d, features, output, _score)


def fuse(d: Draft, trunks: Iterable[tuple[str, Features]], output: Output) -> None:
    sums.fuse(d, trunks, output, _score)
