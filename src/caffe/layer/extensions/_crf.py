"""What the layers of CRFs share: features of pixels, and the lattices over them."""

from __future__ import annotations

import torch

from caffe.kernels.division import divide
from caffe.layer import Layer
from caffe.layer.extensions._permutohedral import Lattice

__all__ = ["bilateral_features", "by_pixel", "lattice", "spatial_features"]


def by_pixel(maps: torch.Tensor) -> torch.Tensor:
    """C x H x W as a row for each pixel, H W x C."""
    return maps.flatten(1).t().contiguous()


def spatial_features(h: int, w: int, std: float, device: torch.device) -> torch.Tensor:
    """Where each pixel is, x and y, in deviations: H W x 2."""
    place = torch.arange(h * w, device=device)
    pixels = torch.stack([place % w, torch.div(place, w, rounding_mode="floor")], 1)
    return divide(pixels.float(), std)


def bilateral_features(picture: torch.Tensor, xy: float, colour: float) -> torch.Tensor:
    """Where each pixel of C x H x W is, and its channels, in deviations: H W x (2 + C)."""
    h, w = picture.shape[1:]
    places = spatial_features(h, w, xy, picture.device)
    return torch.cat([places, divide(by_pixel(picture.float()), colour)], 1)


def lattice(layer: Layer, features: torch.Tensor) -> Lattice:
    """The lattice; the layer's error where there is none."""
    try:
        return Lattice(features)
    except ValueError as error:
        raise layer.fail(f"cannot filter this picture: {error}") from None
