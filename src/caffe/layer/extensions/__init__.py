"""Layer types beyond BVLC Caffe, from the forks in which published FCN-like models were trained.

Everything else in :mod:`caffe.layer` is one of BVLC's 61 types; what is not is here, one file a
family, made as :mod:`caffe.layer` explains.  Their messages in ``caffe.proto`` have field numbers
from 20001 on, which no fork known uses.  :func:`type_list` says which types they are; a net with
one of them does not run on BVLC Caffe.  :data:`PUBLISHED_IN` says where each comes from.
"""

from __future__ import annotations

import importlib
import pkgutil

from caffe import layer

__all__ = ["PUBLISHED_IN", "is_extension", "type_list"]

# Type -> the forks and models that it was published in, and what it does.  docs/forks.md shows it.
PUBLISHED_IN = {
    "Axpy": ("SENet", "a factor a channel times one blob, plus another"),
    "BN": ("SegNet; PSPNet", "batch normalisation with scale and shift in one"),
    "ConvolutionDepthwise": (
        "MobileNet (BVLC pull request 5665)",
        "convolution with one group a channel",
    ),
    "CropCenter": ("waifu2x", "as much cut off at both ends of an axis"),
    "DepthwiseConvolution": ("MobileNet", "the same under its other name"),
    "DetectionOutput": ("SSD", "detections from offsets, scores and prior boxes"),
    "Interp": ("DeepLab; PSPNet, ICNet", "bilinear resizing, corners aligned"),
    "PSROIPooling": ("R-FCN", "means over windows of regions, each from channels of its own"),
    "Proposal": (
        "C++ ports of Faster R-CNN (PVANet, Intel Caffe, R-FCN)",
        "boxes from a region proposal network",
    ),
    "ROIPooling": ("Fast and Faster R-CNN", "maxima over windows of regions"),
    "Reorg": ("YOLO v2 converted", "squares of pixels into channels"),
    "ShuffleChannel": ("ShuffleNet", "channels dealt out over groups"),
    "Normalize": ("ParseNet; SSD", "division by the Euclidean norm, times a learned scale"),
    "Permute": ("SSD", "axes in another order"),
    "PriorBox": ("SSD", "boxes around every pixel of a map"),
    "ReLU6": ("MobileNet", "a ReLU that ends at 6"),
    "SmoothL1Loss": (
        "Fast and Faster R-CNN; SSD",
        "squares where the difference is small, absolute values elsewhere",
    ),
    "Upsample": ("SegNet, ENet; YOLO converted", "unpooling by a pooling mask; nearest neighbour"),
}

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def type_list() -> list[str]:
    """The registered types that BVLC Caffe does not have, sorted."""
    return [name for name in layer.type_list() if is_extension(name)]


def is_extension(type_name: str) -> bool:
    """True for a registered type that is defined in this package."""
    return layer.class_of(type_name).__module__.startswith(__name__ + ".")
