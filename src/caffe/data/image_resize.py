"""``caffe.io.resize_image``: what pycaffe did by way of scikit-image 0.18, without scikit-image.

For one and three channels: the image's range is mapped to [0, 1]; when it shrinks, a Gaussian of
σ = (factor − 1) / 2 is applied first; then samples are interpolated at pixel centres.  What lies
outside the image counts as its darkest value, so borders fade when an image grows.
"""

from __future__ import annotations

import numpy as np

__all__ = ["resize_image"]


def resize_image(im: np.ndarray, new_dims: tuple[int, int], interp_order: int = 1) -> np.ndarray:
    """Returns an image (H, W, C) at another size, as float32, its range kept.

    Args:
        im: any number of channels; one and three are smoothed before they shrink, others are
            zoomed by splines without.
        new_dims: height and width in pixels.
        interp_order: 0 nearest, 1 linear, 3 cubic (Catmull-Rom); 2, 4 and 5 are splines.

    Raises:
        ValueError: ``im`` is not 3-dimensional, or the size is not positive.
    """
    size = (int(new_dims[0]), int(new_dims[1]))
    if im.ndim != 3 or min(size) < 1:
        raise ValueError(
            f"resize_image takes an image (H, W, C) and a positive size, got {im.shape} and {size}"
        )
    if im.shape[2] in (1, 3):
        return _resize(im, size, interp_order)
    from scipy import ndimage  # here, as below: it takes longer to import than the rest of caffe

    factors = np.divide(size, im.shape[:2])
    return ndimage.zoom(im, (*factors, 1), order=interp_order).astype(np.float32)


def _resize(image: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """The way of one and three channels."""
    low, high = image.min(), image.max()
    if low == high:
        return np.full((*size, image.shape[2]), low, np.float32)
    unit = np.asarray((image - low) / (high - low), np.float32)
    factors = np.divide(image.shape[:2], size)
    sigma = np.maximum(0, (factors - 1) / 2)
    if sigma.any():
        from scipy import ndimage

        unit = ndimage.gaussian_filter(unit, (*sigma, 0), mode="constant")
    if order in _KERNELS:
        for axis in (0, 1):
            unit = _resample(unit, axis, size[axis], *_KERNELS[order])
    else:
        unit = _resample_spline(unit, size, order)
    if order > 1:
        unit = np.clip(unit, 0, 1)  # these overshoot
    return (unit * (high - low) + low).astype(np.float32)


def _centres(count: int, length: int) -> np.ndarray:
    """Positions of ``count`` equal pixels' centres in an axis of ``length`` pixels."""
    return (np.arange(count) + 0.5) * (length / count) - 0.5


def _nearest(distance: np.ndarray) -> np.ndarray:
    return ((distance > -0.5) & (distance <= 0.5)).astype(float)


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(distance))


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = −1/2."""
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


# order → (weight of a sample by its distance, samples before and after the position's floor)
_KERNELS = {0: (_nearest, 0, 1), 1: (_linear, 0, 1), 3: (_cubic, -1, 2)}


def _resample(image: np.ndarray, axis: int, count: int, kernel, first: int, last: int):
    """Interpolates along one axis; samples outside are zero."""
    image = np.moveaxis(image, axis, 0)
    length = image.shape[0]
    position = _centres(count, length)
    floor = np.floor(position).astype(int)
    out = np.zeros((count, *image.shape[1:]), np.float32)
    for step in range(first, last + 1):
        index = floor + step
        weight = kernel(index - position) * ((index >= 0) & (index < length))
        weight = weight.astype(np.float32).reshape(-1, *[1] * (image.ndim - 1))
        out += image[np.clip(index, 0, length - 1)] * weight
    return np.moveaxis(out, 0, axis)


def _resample_spline(image: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    from scipy import ndimage

    grid = np.meshgrid(*(_centres(n, m) for n, m in zip(size, image.shape)), indexing="ij")
    channels = [
        ndimage.map_coordinates(image[:, :, c], grid, order=order, mode="grid-constant")
        for c in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)
