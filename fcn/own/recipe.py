"""How a net of one's own data is trained: by where it starts and what it is trained on."""

import os
from typing import Any, NamedTuple, Optional

from fcn.catalog.description import Description
from fcn.errors import StartError
from segdata import means

__all__ = ["STARTS", "Start", "described"]

#: The decoder's net whose weights are in the repository; `ilsvrc` is the same net.
SHIPPED = "nets/voc-fcn4s-lite0/voc-fcn4s-lite0.caffemodel"


class Start(NamedTuple):
    """What a net is and what it starts from. weights: "" for what the backbone's row says; pixel:
    bytes of a forward pass for each pixel of a crop (fcn/geometry)."""

    backbone: str
    head: str
    stride: int
    at_once: bool
    weights: str
    mean: Any
    pixel: int
    text: str


STARTS = {
    "ilsvrc": Start(
        "efficientnet-lite0",
        "fusion",
        4,
        False,
        "",
        means.EFFICIENTNET,
        1700,
        "EfficientNet-Lite0 with its ILSVRC weights, decoder to stride 4",
    ),
    "voc": Start(
        "efficientnet-lite0",
        "fusion",
        4,
        False,
        SHIPPED,
        means.EFFICIENTNET,
        1700,
        "EfficientNet-Lite0 and a decoder to stride 4, both from voc-fcn4s-lite0",
    ),
    "scratch": Start(
        "camvid",
        "sum",
        8,
        True,
        "",
        None,
        410,
        "a small net of 2.1 million weights, from scratch",
    ),
}

#: Crops are one more than a multiple of 32, so that values of all strides lie on both edges.
CROPS = {"cpu": 225, "gpu": 385}
BATCHES = {"cpu": 4, "gpu": 16}
#: (crop, batch) on a GPU, the first that fits into its free memory.
ON_GPU = [(CROPS["gpu"], n) for n in (BATCHES["gpu"], 12, 8, 6, 4)]
ON_GPU += [(CROPS["cpu"], n) for n in (8, 4, 2)]
WORKERS = 3
#: Of a GPU's free memory, what the maps of a step may take: a CUDA graph is made while those of the
#: pass before are there. A step's maps are so many times those of a forward pass.
USABLE, STEP = 0.7, 2.5
BESIDE = 800_000_000  # bytes for weights, their history and cuDNN's work
#: Decoded images are kept in memory up to so many bytes in all.
CACHE = 10**9


def crop_and_batch(pixel: int, free: Optional[int]) -> "tuple[int, int]":
    """(crop, batch size) on a GPU with so many free bytes (None: unknown) for a net whose forward
    pass takes `pixel` bytes for each pixel. StartError where nothing fits."""
    for crop, batch in ON_GPU:
        if free is None or batch * crop**2 * pixel * STEP <= USABLE * free - BESIDE:
            return crop, batch
    crop, batch = ON_GPU[-1]
    needed = (batch * crop**2 * pixel * STEP + BESIDE) / USABLE
    raise StartError(
        f"the GPU has {(free or 0) / 1e9:.1f} GB of free memory, and batches of {batch} crops of "
        f"{crop}x{crop} need {needed / 1e9:.1f}: end what else runs on it, name another by --gpu, "
        "or train with --cpu"
    )


def workers(cores: int) -> int:
    """Processes that read pictures for a GPU; one core is the training's own."""
    return max(1, min(WORKERS, cores - 1))


def described(
    found: Description, start: Start, gpu: bool, free: Optional[int] = None
) -> Description:
    """The dataset as the net is to be trained on it: crops of any size, side and light.

    The mean is that of the trained trunk, where there is one. A batch holds crops, so images may
    be of any size. `free`: bytes of the GPU's memory, None where nothing tells.
    """
    most, batch = crop_and_batch(start.pixel, free) if gpu else (CROPS["cpu"], BATCHES["cpu"])
    mean = tuple(start.mean or found.mean)
    height, width = found.size
    crop = tuple(min(most, 32 * -(-(side - 1) // 32) + 1) for side in (height, width))
    cache = 4 * height * width * sum(found.images.values()) < CACHE
    varied = {
        "batch_size": batch,
        "mirror": True,
        "scale": (0.6, 1.6),
        "crop": crop,
        "light": 0.2,
        "color": 0.2,
        "cache": cache,
    }
    if gpu:
        varied["workers"] = workers(os.cpu_count() or 1)
    layer = dict(found.layer)
    for split in ("train", "val"):
        layer[split] = dict(layer[split], mean=mean)
    layer["train"].update(varied)
    return found._replace(mean=mean, layer=layer)
