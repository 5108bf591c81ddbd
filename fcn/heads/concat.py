"""An FCN-8s that concatenates its streams instead of adding their scores.

A score of concatenated features would be a sum again: a 1×1 convolution and bilinear upsampling are
linear, and change places. So each stream is reduced to a few channels, all are brought to the
finest stride and concatenated, and a 3×3 convolution with a ReLU looks at them together before the
score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe import layers as L
from fcn.geometry.align import crop

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from fcn.backbones import Features
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft

#: Channels of each stream, and of the convolution over all.
WIDTH = 64


def add(d: Draft, features: Features, output: Output) -> None:
    n = d.n
    if "joined" not in n.tops:  # one for all outputs
        n["joined"] = d.hidden(_concat(d, features), WIDTH, 3)
        n["relu_joined"] = L.ReLU(n["joined"], in_place=True)
    d.scores(n["relu_joined"], output)


def _concat(d: Draft, features: Features) -> Top:
    n = d.n
    streams: list[list[Any]] = []
    found = [(features.stride, "fr", features.top)]
    found += [(stride, skip.name, skip.blob) for stride, skip in d.skips(features)]
    for stride, name, blob in found:
        n["reduce_" + name] = top = d.hidden(blob, WIDTH)
        if stride != d.stride:
            n["upsample_" + name] = top = d.enlarge(top, WIDTH, stride // d.stride)
        streams.append(["reduce_" + name if stride == d.stride else "upsample_" + name, top])
    # All are cropped to the smallest: what was upsampled most where the image is padded by 100.
    smallest = streams[0 if features.padded else -1][1]
    for stream in streams:
        if stream[1] is not smallest:
            n[stream[0] + "c"] = stream[1] = crop(stream[1], smallest)
    if len(streams) == 1:
        return smallest
    n["concat"] = L.Concat(*[top for _, top in streams])
    return n["concat"]
