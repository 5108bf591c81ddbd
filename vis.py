"""Colours for label maps, under the names of the published vis.py.

from vis import make_palette, vis_seg
overlay = vis_seg(image, labels, make_palette(21))
"""

import numpy as np

from fcn.palette import voc_palette

__all__ = ["color_seg", "make_palette", "vis_seg"]


def make_palette(num_classes):
    """The first colours of PASCAL VOC's map: uint8 (num_classes, 3), RGB."""
    return voc_palette(num_classes)


def color_seg(seg, palette):
    """The colour of every label: (H, W) ids to (H, W, 3).

    >>> color_seg(np.array([[0, 1]]), make_palette(2)).tolist()
    [[[0, 0, 0], [128, 0, 0]]]
    """
    return np.asarray(palette)[np.asarray(seg)]


def vis_seg(img, seg, palette, alpha=0.5):
    """The image (H, W, 3), RGB 0-255, with its labels laid over it: uint8 (H, W, 3).

    A pixel becomes ``(1 - alpha) * pixel + alpha * colour``, cut off to a whole number; class 0
    stays as it is.
    """
    seg = np.asarray(seg)
    img = np.array(img, np.float32)
    if img.shape[:2] != seg.shape or img.ndim != 3:
        raise ValueError(
            f"expected an image (H, W, 3) and labels (H, W) of one size; received {img.shape} and "
            f"{seg.shape}"
        )
    shown = seg > 0
    img[shown] = (1 - alpha) * img[shown] + alpha * color_seg(seg, palette)[shown]
    return img.astype(np.uint8)
