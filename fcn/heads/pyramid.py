"""A feature pyramid (Lin et al. 2017): lateral 1×1 convolutions, summed from the top down.

The coarsest features, reduced to WIDTH channels, are upsampled bilinearly by 2 and added to the
next finer ones, reduced alike; a 3×3 convolution smooths the finest sum, and its score is upsampled
to the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.geometry.align import crop

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from fcn.backbones import Features
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft

WIDTH = 256


def add(d: Draft, features: Features, output: Output) -> None:
    n = d.n
    if "smooth" not in n.tops:  # one for all outputs
        n["smooth"] = d.hidden(_top_down(d, features), min(WIDTH, features.channels), 3)
        n["relu_smooth"] = L.ReLU(n["smooth"], in_place=True)
    d.scores(n["relu_smooth"], output)


def _top_down(d: Draft, features: Features) -> Top:
    """The sum at the finest stride; widths of small trunks stay small."""
    n, stride, width = d.n, features.stride, min(WIDTH, features.channels)
    n["lateral_fr"] = top = d.hidden(features.top, width)
    for finer, skip in d.skips(features):
        n["upsample_" + skip.name] = top = d.enlarge(top, width, stride // finer)
        n["lateral_" + skip.name] = side = d.hidden(skip.blob, width)
        if features.padded:
            n[f"lateral_{skip.name}c"] = side = crop(side, top)
        else:
            n[f"upsample_{skip.name}c"] = top = crop(top, side)
        n["sum_" + skip.name] = top = L.Eltwise(top, side, operation=P.Eltwise.SUM)
        stride = finer
    return top
