"""EfficientNet-Lite's weights from PyTorch's names to a caffemodel of our classifier."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping

import numpy as np

import caffe
from fcn.classifiers import efficientnet
from fcn.prototxt import to_text

__all__ = ["check", "fill", "layer_of", "picture", "write"]

_INNER = re.compile(r"_blocks\.(\d+)\._(expand_conv|depthwise_conv|project_conv|bn\d)\.(\w+)$")
_OUTER = {"_conv_stem": "stem", "_bn0": "stem", "_conv_head": "head", "_bn1": "head", "_fc": "fc"}
#: The convolution that a block's BatchNorm follows.
_OF_NORM = {"bn0": "expand", "bn1": "depthwise", "bn2": "project"}
#: What a BatchNorm of PyTorch holds → (suffix of our layer, blob index).
_NORM = {
    "running_mean": ("_bn", 0),
    "running_var": ("_bn", 1),
    "weight": ("_scale", 0),
    "bias": ("_scale", 1),
}


def layer_of(name: str) -> tuple[str, int] | None:
    """(layer, blob index) of one of PyTorch's tensors, or None for a count of batches.

    >>> layer_of("_blocks.3._bn1.running_var")
    ('block4_depthwise_bn', 1)
    """
    if name.endswith(".num_batches_tracked"):
        return None
    inner = _INNER.match(name)
    if inner:
        number, part, field = inner.groups()
        layer = f"block{int(number) + 1}_" + _OF_NORM.get(part, part.replace("_conv", ""))
    else:
        part, _, field = name.partition(".")
        layer = _OUTER[part]
    if "bn" in part:
        suffix, index = _NORM[field]
        return layer + suffix, index
    return layer, ("weight", "bias").index(field)


def fill(net: caffe.Net, state: Mapping[str, np.ndarray]) -> None:
    """Write a state dict's tensors to a Net; ValueError unless each blob gets exactly one.

    The first convolution is turned from RGB to BGR.
    """
    wanted = {(name, i) for name, blobs in net.params.items() for i in range(len(blobs))}
    for name, values in state.items():
        place = layer_of(name)
        if place is None:
            continue
        layer, index = place
        if place not in wanted:
            raise ValueError(f"{name} belongs to {layer} blob {index}, which the net lacks")
        wanted.remove(place)
        blob = net.params[layer][index]
        if tuple(blob.data.shape) != values.shape:
            raise ValueError(f"{name} is {values.shape}, {layer} is {tuple(blob.data.shape)}")
        blob.data[...] = values[:, ::-1] if layer == "stem" else values
        if layer.endswith("_bn"):
            net.params[layer][2].data[...] = 1  # mean and variance are stored as they are
            wanted.discard((layer, 2))
    if wanted:
        raise ValueError("nothing for " + ", ".join(f"{n} blob {i}" for n, i in sorted(wanted)))


def write(state: Mapping[str, np.ndarray], variant: int, path: str) -> None:
    """Write the classifier's caffemodel."""
    with tempfile.TemporaryDirectory() as folder:
        prototxt = os.path.join(folder, "deploy.prototxt")
        with open(prototxt, "w", encoding="ascii") as f:
            f.write(to_text(efficientnet.lite(variant)("deploy")))
        net = caffe.Net(prototxt, caffe.TEST)
        fill(net, state)
        if not all(np.isfinite(b.data).all() for blobs in net.params.values() for b in blobs):
            raise ValueError("some of the weights are not finite")
        net.save(path)


#: Photographs that scikit-image ships, and the classes of ILSVRC that they show.
PHOTOGRAPHS = {
    "coffee.png": (967, 968),  # espresso, cup
    "chelsea.png": (281, 282, 285),  # tabby, tiger cat, Egyptian cat
}


def check(variant: int, path: str, expected: tuple[int, float]) -> list[str]:
    """Classify what is known by the weights in a file; lines that tell the result.

    expected: (class, probability) of `picture`. ValueError where the net finds something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        prototxt = os.path.join(folder, "deploy.prototxt")
        with open(prototxt, "w", encoding="ascii") as f:
            f.write(to_text(efficientnet.lite(variant)("deploy")))
        net = caffe.Net(prototxt, path, caffe.TEST)
    size = net.blobs["data"].data.shape[2]
    number, share = expected
    found = _classify(net, picture(size))
    if found.argmax() != number or abs(found[number] - share) > 1e-3:
        raise ValueError(
            f"of a test picture it makes class {found.argmax()} ({found.max():.4f}); expected "
            f"class {number} ({share:.4f})"
        )
    return ["a test picture is classified as by the published net", *_photographs(net, size)]


def _photographs(net: caffe.Net, size: int) -> list[str]:
    try:
        import skimage
    except ImportError:
        return ["photographs were not classified: scikit-image, which ships some, is not installed"]
    from PIL import Image

    lines = []
    for file, classes in PHOTOGRAPHS.items():
        path = os.path.join(os.path.dirname(skimage.__file__), "data", file)
        if not os.path.isfile(path):
            continue
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((size, size), Image.BICUBIC)
        found = _classify(net, np.asarray(image, np.float32))
        if found.argmax() not in classes:
            raise ValueError(
                f"the photograph {file} is taken for class {found.argmax()} of ILSVRC, not for one "
                f"of {', '.join(map(str, classes))}"
            )
        lines.append(f"{file}: class {found.argmax()} of ILSVRC, {found.max():.0%}")
    return lines


def picture(size: int) -> np.ndarray:
    """RGB, 0 to 255: waves of another direction in each channel."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    waves = [np.sin(x / 9), np.sin(y / 7), np.sin((x + y) / 11)]
    return 127.5 + 127.5 * np.stack(waves, axis=2)


def _classify(net: caffe.Net, image: np.ndarray) -> np.ndarray:
    """The shares of ILSVRC's classes for an RGB image of the net's size."""
    values = (image - efficientnet.MEAN[0]) * efficientnet.SCALE
    net.blobs["data"].data[0] = values[:, :, ::-1].transpose(2, 0, 1)
    return net.forward()["prob"][0].copy()
