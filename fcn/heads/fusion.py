"""A light decoder: features are brought to one width, added from coarse to fine, and mixed by a 3×3
convolution at each stride.

At each stride a 1×1 convolution with BatchNorm brings the features to one width; what comes from
the coarser stride, upsampled bilinearly by 2, is added; a 3×3 convolution with BatchNorm and ReLU
looks at the sum, and gives the next finer stride's width. Its score is upsampled to the image. The
decoder has 0.7 million weights on EfficientNet-Lite0 and costs half of what the trunk does. The
coarsest features are those of the classifier's last convolution, where the trunk has one: what it
learned of a thousand classes is closest at hand there.
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

#: Channels of strides from 8 on, and of finer ones.
WIDE, NARROW = 128, 64


def add(d: Draft, features: Features, output: Output) -> None:
    d.scores(mixed(d, features, norm=True), output)


def mixed(d: Draft, features: Features, norm: bool = False) -> Top:
    """The features at the finest stride; one for all outputs.

    norm: whether BatchNorm follows the 1×1 convolutions. Without it a sum hardly knows what the
    coarse features say where fine ones are much larger: those of EfficientNet, behind which there
    is no activation, are ten times so.
    """
    if "mix_fr" not in d.n.tops:
        return _mixed(d, features, norm)
    names = [name for name in d.n.tops if name.startswith("relu_mix_")]
    return d.n[names[-1]]


def _mixed(d: Draft, features: Features, norm: bool) -> Top:
    n, stride = d.n, features.stride
    found = d.skips(features)
    widths = [WIDE if s >= 8 else NARROW for s in [stride] + [s for s, _ in found]]
    top = _lateral(d, "fr", features.top, widths[0], norm)
    for i, (finer, skip) in enumerate([(stride, None), *found]):
        if skip is None:
            name = "fr"
        else:
            name = skip.name
            n["upsample_" + name] = top = d.enlarge(top, widths[i], stride // finer)
            side = _lateral(d, name, skip.blob, widths[i], norm)
            if features.padded:
                n[f"lateral_{name}c"] = side = crop(side, top)
            else:
                n[f"upsample_{name}c"] = top = crop(top, side)
            n["sum_" + name] = top = L.Eltwise(top, side, operation=P.Eltwise.SUM)
        width = widths[min(i + 1, len(found))]
        n["mix_" + name] = _convolution(top, width, 3)
        top = d.norm_relu("mix_" + name, n["mix_" + name])
        stride = finer
    return top


def _lateral(d: Draft, name: str, bottom: Top, width: int, norm: bool) -> Top:
    """Features brought to a width."""
    d.n["lateral_" + name] = top = _convolution(bottom, width, 1)
    return d.norm("lateral_" + name, top) if norm else top


def _convolution(bottom: Top, width: int, kernel: int) -> Top:
    """One that BatchNorm follows, directly or after a sum: its bias would be taken away again."""
    return L.Convolution(
        bottom,
        num_output=width,
        kernel_size=kernel,
        pad=kernel // 2,
        bias_term=False,
        param=[dict(lr_mult=1, decay_mult=1)],
        weight_filler=dict(type="msra"),
    )
