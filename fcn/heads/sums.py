"""The FCN's own head (Long, Shelhamer, Darrell 2015): a score of each stream, and their sums.

The coarsest score is upsampled by 2 and added to a score of the next finer features (16s), the sum
again by 2 and added to the next (8s), and what comes out is upsampled to the image at once. Crop
layers align what is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from caffe import layers as L
from caffe import params as P
from fcn.geometry.align import crop

if TYPE_CHECKING:
    from caffe.net_spec import Top
    from fcn.backbones import Features, Skip
    from fcn.catalog.dataset import Output
    from fcn.heads.draft import Draft


def _score(d: Draft, features: Features, output: Output, stream: str = "") -> Top:
    """The usual score of the coarsest features."""
    d.n["score_fr" + stream + output.suffix] = top = d.score(features.top, output.classes)
    return top


def add(d: Draft, features: Features, output: Output, score: Callable[..., Top] = _score) -> None:
    """score(d, features, output): adds that of the coarsest features."""

    def skip(stride: int, pool: Skip) -> Top:
        blob = _scaled(d, stride, pool)
        d.n["score_" + pool.name + output.suffix] = fine = d.score(blob, output.classes)
        return fine

    coarse = score(d, features, output)
    _add_upsampling(d, coarse, features, skip, output)


def fuse(
    d: Draft,
    trunks: Iterable[tuple[str, Features]],
    output: Output,
    score: Callable[..., Top] = _score,
) -> None:
    """trunks: yields (name, features); the average of their scores, those of the skips too."""
    known = []
    for name, features in trunks:
        known.append((name, features))
        score(d, features, output, name)
    names = [name for name, _ in known]

    def average(scores: str) -> Top:
        return L.Eltwise(
            *[d.n[scores + name] for name in names],
            operation=P.Eltwise.SUM,
            coeff=[1 / len(names)] * len(names),
        )

    def skip(stride: int, pool: Skip) -> Top:
        for name, features in known:
            blob = _scaled(d, stride, features.skips[stride], name)
            d.n[f"score_{pool.name}{name}"] = d.score(blob, output.classes)
        d.n[f"score_{pool.name}_fused"] = fused = average("score_" + pool.name)
        return fused

    d.n.score_fused = average("score_fr")
    _add_upsampling(d, d.n.score_fused, known[0][1], skip, output)


def _scaled(d: Draft, stride: int, pool: Skip, stream: str = "") -> Top:
    """The features of a skip, scaled down first where all streams are trained at once."""
    factor = d.scales.get(stride)
    if factor is None:
        return pool.blob
    name = "scale_" + pool.name + stream
    if name not in d.n.tops:  # one for all outputs
        d.n[name] = L.Scale(
            pool.blob, filler=dict(type="constant", value=factor), param=[dict(lr_mult=0)]
        )
    return d.n[name]


def _add_upsampling(
    d: Draft, coarse: Top, features: Features, skip: Callable[..., Top], output: Output
) -> None:
    """Add upscore2 … score: upsample `coarse` and add the skips on the way.

    skip(stride, pool): adds a score of that Skip and returns it.
    """
    n, suffix, stride = d.n, output.suffix, features.stride
    name = "upscore2" + suffix
    for finer, pool in d.skips(features):
        n[name] = coarse = d.upsample(coarse, output.classes, stride // finer)
        fine = skip(finer, pool)
        # The larger of the two is cropped to the smaller.
        if features.padded:
            n[f"score_{pool.name}{suffix}c"] = fine = crop(fine, coarse)
        else:
            n[name + "c"] = coarse = crop(coarse, fine)
        n[f"fuse_{pool.name}{suffix}"] = coarse = L.Eltwise(coarse, fine, operation=P.Eltwise.SUM)
        stride, name = finer, f"upscore_{pool.name}{suffix}"
    d.finish(coarse, output, stride)
