"""Where a blob lies in the image, from its layers, so that a Crop gets the offset that aligns it.

The same rules as `caffe.coord_map`, which knows no Concat. From a top down its first bottoms to the
data: x_blob = a·x_data + b along each axis, kept as fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from caffe import layers as L
from fcn.geometry.ops import Window

if TYPE_CHECKING:
    from caffe.net_spec import Top


def place(top: Top) -> tuple[Fraction, Fraction]:
    """(a, b) of a top of a NetSpec."""
    path = []
    while top.fn.inputs:
        path.append(top.fn)
        # A crop lies where what it is cropped to lies.
        top = top.fn.inputs[1 if top.fn.type_name == "Crop" else 0]
    a, b = Fraction(1), Fraction(0)
    for layer in reversed(path):
        if layer.type_name in ("Convolution", "Deconvolution", "Pooling"):
            a, b = _window(layer).place(a, b)
    return a, b


def _window(layer: Any) -> Window:
    params = layer.params.get("convolution_param", layer.params)
    kernel = (params["kernel_size"] - 1) * params.get("dilation", 1) + 1
    up = layer.type_name == "Deconvolution"
    return Window(kernel, params.get("stride", 1), params.get("pad", 0), up)


def crop(top: Top, like: Top) -> Top:
    """A Crop of `top` to the size and place of `like`; ValueError where no offset aligns them."""
    (a, b), (a_like, b_like) = place(top), place(like)
    offset = b - b_like
    if a != a_like or offset.denominator != 1 or offset < 0:
        raise ValueError(
            f"no crop aligns a blob at {a}·x + {b} with one at {a_like}·x + {b_like}: both need "
            "the same stride, and a whole number of pixels, 0 or more, between them"
        )
    return L.Crop(top, like, axis=2, offset=[int(offset)])
