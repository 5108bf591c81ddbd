"""How a net of one's own data is trained: by where it starts and what it is trained on."""

from typing import Any, NamedTuple

from fcn.catalog.description import Description
from segdata import means

__all__ = ["STARTS", "Start", "described"]

#: The decoder's net whose weights are in the repository; `ilsvrc` is the same net.
SHIPPED = "nets/voc-fcn4s-lite0/voc-fcn4s-lite0.caffemodel"


class Start(NamedTuple):
    """What a net is and what it starts from. weights: "" for what the backbone's row says."""

    backbone: str
    head: str
    stride: int
    at_once: bool
    weights: str
    mean: Any
    text: str


STARTS = {
    "ilsvrc": Start(
        "efficientnet-lite0",
        "fusion",
        4,
        False,
        "",
        means.EFFICIENTNET,
        "EfficientNet-Lite0 with its ILSVRC weights, decoder to stride 4",
    ),
    "voc": Start(
        "efficientnet-lite0",
        "fusion",
        4,
        False,
        SHIPPED,
        means.EFFICIENTNET,
        "EfficientNet-Lite0 and a decoder to stride 4, both from voc-fcn4s-lite0",
    ),
    "scratch": Start(
        "camvid",
        "sum",
        8,
        True,
        "",
        None,
        "a small net of 2.1 million weights, from scratch",
    ),
}

#: Crops are one more than a multiple of 32, so that values of all strides lie on both edges.
CROPS = {"cpu": 225, "gpu": 385}
BATCHES = {"cpu": 4, "gpu": 16}
#: Decoded images are kept in memory up to so many bytes in all.
CACHE = 10**9


def described(found: Description, start: Start, gpu: bool) -> Description:
    """The dataset as the net is to be trained on it: crops of any size, side and light.

    The mean is that of the trained trunk, where there is one. A batch holds crops, so images may
    be of any size.
    """
    kind = "gpu" if gpu else "cpu"
    mean = tuple(start.mean or found.mean)
    height, width = found.size
    crop = tuple(min(CROPS[kind], 32 * -(-(side - 1) // 32) + 1) for side in (height, width))
    cache = 4 * height * width * sum(found.images.values()) < CACHE
    varied = {
        "batch_size": BATCHES[kind],
        "mirror": True,
        "scale": (0.6, 1.6),
        "crop": crop,
        "light": 0.2,
        "color": 0.2,
        "cache": cache,
    }
    if gpu:
        varied["workers"] = 3
    layer = dict(found.layer)
    for split in ("train", "val"):
        layer[split] = dict(layer[split], mean=mean)
    layer["train"].update(varied)
    return found._replace(mean=mean, layer=layer)
