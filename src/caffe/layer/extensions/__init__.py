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
    "Accum": ("FlowNet 2", "maps of several sizes side by side, at one size"),
    "AnnotatedData": ("SSD", "pictures with marked objects from a database"),
    "Axpy": ("SENet", "a factor a channel times one blob, plus another"),
    "BN": ("SegNet; PSPNet", "batch normalisation with scale and shift in one"),
    "BatchReduction": ("temporal segment networks; PSPNet", "sums or means of parts of an axis"),
    "BoxAnnotatorOHEM": ("R-FCN", "the regions with the largest losses"),
    "CTCLoss": ("forks for speech and text", "labels without places in a sequence"),
    "CenterLoss": ("nets for faces", "features drawn to the centre of their class"),
    "ChannelNorm": ("FlowNet 2", "the length of each pixel's vector of channels"),
    "ContinuationIndicator": ("nets that read text", "where sequences begin"),
    "ConvolutionDepthwise": (
        "MobileNet (BVLC pull request 5665)",
        "convolution with one group a channel",
    ),
    "Correlation": ("FlowNet", "how well patches of two maps fit at displacements"),
    "Correlation1D": ("DispNet (FlowNet's fork)", "the same with displacements along the rows"),
    "CropCenter": ("waifu2x", "as much cut off at both ends of an axis"),
    "CtcLoss": ("warpctc-caffe", "the same from two bottoms"),
    "DataAugmentation": ("FlowNet", "the mean taken off, in nets that run"),
    "DenseCRF": ("DeepLab", "a CRF over all pairs of pixels, by mean-field inference"),
    "DenseImageData": ("SegNet", "pictures and their label images from a list"),
    "DepthwiseConvolution": ("MobileNet", "the same under its other name"),
    "DetectionEvaluate": ("SSD", "which detections are right"),
    "DetectionOutput": ("SSD", "detections from offsets, scores and prior boxes"),
    "Downsample": ("FlowNet", "a smaller size, corners kept, NaN left out"),
    "EltwiseAccuracy": ("DeconvNet", "Accuracy under its name there"),
    "FlowWarp": ("FlowNet 2", "a picture looked up where a flow points"),
    "HSigmoid": ("MobileNet v3", "the same under its other name"),
    "HSwish": ("MobileNet v3", "the same under its other name"),
    "HardSigmoid": ("MobileNet v3", "a sigmoid of straight lines"),
    "HardSwish": ("MobileNet v3", "x times HardSigmoid"),
    "ImageLabelmapData": ("HED, RCF", "pictures and maps of their edges from a list"),
    "ImageSegData": ("DeepLab; DeconvNet, PSPNet", "pictures and their labels from a list"),
    "Interp": ("DeepLab; PSPNet, ICNet", "bilinear resizing, corners aligned"),
    "L1Loss": (
        "FlowNet; NVIDIA Caffe (DetectNet)",
        "sums of absolute differences, or of lengths",
    ),
    "L2Norm": ("nets that learn distances", "items scaled to length 1"),
    "Local": (
        "nets for faces (DeepFace)",
        "convolution with weights of its own at every place",
    ),
    "Lstm": ("caffe-lstm; CTPN", "long short-term memory over whole sequences"),
    "MatRead": ("DeepLab", "what MatWrite wrote, read again"),
    "MatWrite": ("DeepLab", "bottoms written as MATLAB files"),
    "Mish": ("YOLO v4 converted", "x tanh(log(1 + exp(x)))"),
    "MultiBoxLoss": ("SSD", "the loss of boxes and scores, with matching and mining"),
    "MultiStageMeanfield": ("CRF-RNN", "a CRF over all pairs of pixels as a recurrent layer"),
    "Normalize": ("ParseNet; SSD", "division by the Euclidean norm, times a learned scale"),
    "PSROIPooling": ("R-FCN", "means over windows of regions, each from channels of its own"),
    "Permute": ("SSD", "axes in another order"),
    "PriorBox": ("SSD", "boxes around every pixel of a map"),
    "Proposal": (
        "C++ ports of Faster R-CNN (PVANet, Intel Caffe, R-FCN)",
        "boxes from a region proposal network",
    ),
    "ROIAlign": (
        "Caffe ports of Mask R-CNN",
        "means of points inside windows of regions",
    ),
    "ROIPooling": ("Fast and Faster R-CNN", "maxima over windows of regions"),
    "ReLU6": ("MobileNet", "a ReLU that ends at 6"),
    "Reorg": ("YOLO v2 converted", "squares of pixels into channels"),
    "Resample": ("FlowNet 2", "other image sizes by a filter"),
    "Resize": ("surface normals (3dnormal); pyramids", "bilinear resizing from the first pixel"),
    "Reverse": ("recurrent nets that read text", "an axis the other way round"),
    "SegAccuracy": ("DeepLab; PSPNet", "shares of right pixels, classes and regions"),
    "ShuffleChannel": ("ShuffleNet", "channels dealt out over groups"),
    "SmoothL1Loss": (
        "Fast and Faster R-CNN; SSD",
        "squares where the difference is small, absolute values elsewhere",
    ),
    "SmoothL1LossOHEM": ("R-FCN", "SmoothL1Loss, with the loss of each region"),
    "SoftmaxWithLossOHEM": ("R-FCN", "SoftmaxWithLoss, with the loss of each region"),
    "SpatialDropout": ("ENet", "random zeros for whole channels"),
    "SpatialTransformer": ("spatial transformer networks", "a picture through an affine map"),
    "SyncBN": ("PSPNet", "BN under its name in training on several GPUs"),
    "Transpose": ("CTPN", "Permute under its name there"),
    "TripletLoss": ("nets that learn distances", "nearer to one of its kind than to another"),
    "Unpooling": ("DeconvNet", "the reverse of a pooling, by its mask or without one"),
    "Upsample": ("SegNet, ENet; YOLO converted", "unpooling by a pooling mask; nearest neighbour"),
    "VideoData": ("SSD", "the frames of a video file"),
    "WeightedSoftmaxWithLoss": ("forks for segmentation", "SoftmaxWithLoss with a weight a label"),
    "Yolov3DetectionOutput": ("MobileNet-YOLO", "boxes from the maps of a YOLO v3"),
}

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def type_list() -> list[str]:
    """The registered types that BVLC Caffe does not have, sorted."""
    return [name for name in layer.type_list() if is_extension(name)]


def is_extension(type_name: str) -> bool:
    """True for a registered type that is defined in this package."""
    return layer.class_of(type_name).__module__.startswith(__name__ + ".")
