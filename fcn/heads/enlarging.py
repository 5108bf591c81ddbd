"""An image seen at a/b times its size, inside the net, with layers that BVLC Caffe has.

Bilinear upsampling by a, of which every b-th pixel is taken: pixel i of what comes out lies at
b/a·i of the image, so nothing is shifted. Scores at a stride s of the larger image are at s·b/a of
the image itself, and are upsampled by that. Neither layer learns, or needs weights from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe import layers as L

if TYPE_CHECKING:
    from caffe.net_spec import NetSpec, Top

__all__ = ["enlarge", "stride_of"]

_FIXED = [dict(lr_mult=0, decay_mult=0)]


def enlarge(n: NetSpec, image: Top, channels: int, ratio: tuple[int, int], suffix: str = "") -> Top:
    """Add upsample_data and enlarged_data, both with the suffix; returns the larger image.

    An image of H rows becomes one of ⌊a·(H − 1)/b⌋ + 1.
    """
    up, every = ratio
    n["upsample_data" + suffix] = top = L.Deconvolution(
        image,
        convolution_param=dict(
            num_output=channels,
            group=channels,
            kernel_size=2 * up - 1,
            stride=up,
            pad=up - 1,
            bias_term=False,
            weight_filler=dict(type="bilinear"),
        ),
        param=_FIXED,
    )
    n["enlarged_data" + suffix] = top = L.Convolution(
        top,
        num_output=channels,
        group=channels,
        kernel_size=1,
        stride=every,
        bias_term=False,
        weight_filler=dict(type="constant", value=1),
        param=_FIXED,
    )
    return top


def stride_of(stride: int, ratio: tuple[int, int]) -> int:
    """Of the image itself, what is a stride of the larger one; ValueError unless it is whole.

    >>> stride_of(4, (4, 3))
    3
    """
    up, every = ratio
    if stride * every % up:
        raise ValueError(
            f"scores at stride {stride} of an image enlarged {up}/{every} times lie between its "
            f"pixels: the stride times {every} must be a multiple of {up}"
        )
    return stride * every // up
