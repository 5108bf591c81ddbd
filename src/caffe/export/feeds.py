"""Numbers for a proof: what a net's inputs may hold, by what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe.net import Net

__all__ = ["feeds", "readers"]

Shape = Sequence[int]
Draw = Callable[[np.random.RandomState, Shape, Any, Any], np.ndarray]


def _classes(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    return random.randint(0, layer.input_dim, shape)


def _items(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    items = net.blobs[layer.param.bottom[0]].dims[0]
    return random.randint(0, items, shape)


def _bits(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    bits = random.randint(0, 2, shape)
    bits.reshape(-1)[:1] = 1  # something is left
    return bits


def _going_on(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    cont = (random.uniform(size=shape) < 0.8).astype(np.float32)
    cont[0] = 0
    return cont


def _image_info(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    images = [net.blobs[name].dims for name in net.inputs if len(net.blobs[name].dims) == 4]
    height, width = images[0][2:] if images else (600, 800)
    return np.tile(np.array([height, width, 1][: shape[-1]], np.float32), (shape[0], 1))


def _regions(random: np.random.RandomState, shape: Shape, layer: Any, net: Any) -> np.ndarray:
    features = net.blobs[layer.param.bottom[0]].dims
    scale = layer.scale
    tall, wide = features[2] / scale, features[3] / scale
    corners = np.sort(random.uniform(size=(shape[0], 2, 2)), axis=1) * [wide - 1, tall - 1]
    item = random.randint(0, features[0], (shape[0], 1))
    return np.hstack([item, corners.reshape(shape[0], 4).round()]).reshape(shape)


#: (type, bottom) -> how what it reads is drawn; other inputs are normal.
_DRAWS: dict[tuple[str, int], Draw] = {
    ("Embed", 0): _classes,
    ("BatchReindex", 1): _items,
    ("LSTM", 1): _going_on,
    ("RNN", 1): _going_on,
    ("LSTMUnit", 2): _bits,
    ("Proposal", 2): _image_info,
    ("ROIPooling", 1): _regions,
    ("PSROIPooling", 1): _regions,
    ("ROIAlign", 1): _regions,
}


def feeds(net: Net, seed: int = 0) -> dict[str, np.ndarray]:
    """Random numbers for the inputs, in their present shapes.

    Images of 3 channels have a deviation of 50, as photos less their mean; indices, flags and
    regions are ones that the layers which read them take; all else is normal.
    """
    random = np.random.RandomState(seed)
    result = {}
    for name in net.inputs:
        shape = tuple(net.blobs[name].dims)
        drawn = None
        for layer, bottom in readers(net, name):
            key = (layer.type, bottom)
            if layer.type == "Filter" and bottom == layer.num_bottoms - 1:
                drawn = _bits(random, shape, layer, net)
            elif key in _DRAWS:
                drawn = _DRAWS[key](random, shape, layer, net)
        if drawn is None:
            spread = 50 if len(shape) == 4 and shape[1] == 3 and min(shape[2:]) > 7 else 1
            drawn = random.standard_normal(shape) * spread
        result[name] = np.array(drawn, np.float32)
    return result


def readers(net: Net, name: str) -> list[tuple[Any, int]]:
    """(layer, number of the bottom) of what reads a blob, through Splits, Reshapes and the like."""
    g = net._graph
    blobs = {b for b in g.inputs if g.blob_names[b] == name}
    found = []
    for i, layer in enumerate(g.layers):
        for j, b in enumerate(g.bottoms[i]):
            if b in blobs:
                found.append((layer, j))
                if layer.type in ("Split", "Reshape", "Flatten", "Slice", "Concat"):
                    blobs |= set(g.tops[i])
    return found
