"""The expanding path of U-Net (Ronneberger et al. 2015).

At each level a 2×2 deconvolution that learns doubles the size and takes on the skip's channels, the
skip's features are concatenated, and two 3×3 convolutions follow. A pooling that rounded up made
the doubled blob larger by one than the skip's, so the doubled one is cropped. On trunks whose
values are centred on pixels the deconvolution is 3×3: that of an even size would lie half a pixel
off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L
from fcn.backbones import LEARNED
from fcn.backbones.unet import convolutions
from fcn.geometry.align import crop

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from fcn.backbones import Features
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft


def add(d: Draft, features: Features, output: Output) -> None:
    d.scores(_decoded(d, features), output)


def _decoded(d: Draft, features: Features) -> Top:
    """The finest features; made once for all outputs."""
    n, top, stride = d.n, features.top, features.stride
    for finer, skip in d.skips(features):
        name = f"_{skip.name}_decoded"
        if f"relu{name}_2" not in n.tops:
            n["deconv" + skip.name] = top = L.Deconvolution(
                top,
                param=LEARNED,
                convolution_param=dict(
                    num_output=skip.channels,
                    kernel_size=stride // finer + d.style.odd,
                    stride=stride // finer,
                    weight_filler=dict(type="msra"),
                ),
            )
            n[f"deconv{skip.name}c"] = top = crop(top, skip.blob)
            n["concat" + skip.name] = top = L.Concat(skip.blob, top)
            convolutions(n, name, top, skip.channels)
        top, stride = n[f"relu{name}_2"], finer
    return top
