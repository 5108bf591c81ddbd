"""Run one whole net forward and backward under whichever `caffe` is imported.

    python whole_net_runner.py NET.prototxt OUT_DIR HEIGHT WIDTH

Data layers are replaced by an Input of a random image and random labels with some void. Every
convolution gets random weights of He's scale (with the default fillers everything would be zero and
every comparison empty), deconvolutions bilinear ones. Written: OUT_DIR/NNN.npy per array, and
OUT_DIR/index.json: the program's name and for each array its key and the window to compare.
"""

import json
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
from case_runner import engine_name, own_blobs
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2

VOID = 255
SEED = 1337


def with_input(path, height, width):
    """(NetParameter whose Python data layers are one Input, number of classes)."""
    param = caffe_pb2.NetParameter()
    with open(path) as stream:
        text_format.Merge(stream.read(), param)
    layers = [layer for layer in param.layer if layer.type != "Python"]
    scores = [layer for layer in layers if layer.type == "Convolution"]
    found = caffe_pb2.NetParameter(name=param.name, force_backward=True)
    data = found.layer.add(name="input", type="Input", top=["data", "label"])
    data.input_param.shape.add(dim=[1, 3, height, width])
    data.input_param.shape.add(dim=[1, 1, height, width])
    found.layer.extend(layers)
    return found, scores[-1].convolution_param.num_output


def fill(net, rng):
    """He-scaled weights and small biases everywhere; bilinear interpolation for upsampling."""
    for name, blobs in net.params.items():
        weights = blobs[0].data
        if net.layer_dict[name].type == "Deconvolution":
            fill_bilinear(weights)
            continue
        fan_in = weights.size // weights.shape[0]
        scale = np.float32(np.sqrt(2.0 / fan_in))
        for row in weights:  # row by row: the largest weight alone has a hundred million elements
            row[...] = rng.standard_normal(row.shape) * scale
        if len(blobs) > 1:
            blobs[1].data[...] = rng.standard_normal(blobs[1].data.shape) * 0.1


def fill_bilinear(weights):
    """Interpolate each channel by itself: zero between different channels."""
    size = weights.shape[-1]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - np.abs(np.arange(size) - centre) / factor
    weights[...] = 0
    for channel in range(min(weights.shape[:2])):
        weights[channel, channel] = np.outer(line, line)


def geometry(param):
    """blob → (scale, origin): cell i of a blob is centred at image coordinate scale·i + origin.

    Covers the layers before and between poolings, which is where windows are needed.
    """
    places = {"data": (1.0, 0.0)}
    for layer in param.layer:
        bottom = layer.bottom[0] if layer.bottom else None
        if bottom not in places or len(layer.top) != 1:
            continue
        scale, origin = places[bottom]
        if layer.type == "Convolution":
            conv = layer.convolution_param
            kernel, stride, pad = (first(values, default) for values, default in (
                (conv.kernel_size, 1), (conv.stride, 1), (conv.pad, 0)))
        elif layer.type == "Pooling":
            pool = layer.pooling_param
            kernel, stride, pad = pool.kernel_size, pool.stride, pool.pad
        elif layer.type in ("ReLU", "LRN", "Dropout"):
            kernel, stride, pad = 1, 1, 0
        else:
            continue
        places[layer.top[0]] = (scale * stride, origin + scale * ((kernel - 1) / 2.0 - pad))
    return places


def first(values, default):
    return values[0] if len(values) else default


def before_max_pooling(param):
    """Blobs whose diffs pass through a MAX pooling on the way back."""
    affected = set()
    for layer in reversed(param.layer):
        is_max = layer.type == "Pooling" and layer.pooling_param.pool == layer.pooling_param.MAX
        if is_max or affected.intersection(layer.top):
            affected.update(layer.bottom)
    return affected - {"label"}


def window(place, shape, height, width):
    """[top, bottom, left, right] of the cells that lie inside the image."""
    scale, origin = place
    found = []
    for extent, cells in ((height, shape[2]), (width, shape[3])):
        inside = [i for i in range(cells) if 0 <= scale * i + origin <= extent - 1]
        found += [inside[0], inside[-1] + 1]
    return found


def main():
    path, out = sys.argv[1:3]
    height, width = int(sys.argv[3]), int(sys.argv[4])
    param, classes = with_input(path, height, width)
    net_path = os.path.join(out, "net.prototxt")
    with open(net_path, "w") as stream:
        stream.write(text_format.MessageToString(param))
    net = caffe.Net(net_path, caffe.TRAIN)
    rng = np.random.RandomState(SEED)
    fill(net, rng)
    # Of unit variance rather than a photo's: larger scores would saturate the softmax.
    net.blobs["data"].data[...] = rng.standard_normal((1, 3, height, width))
    labels = rng.randint(0, classes, (1, 1, height, width))
    labels[rng.uniform(size=labels.shape) < 0.1] = VOID
    net.blobs["label"].data[...] = labels
    caffe.set_random_seed(SEED)  # the masks of Dropout
    net.forward()
    net.backward()

    index = []

    def keep(key, array, cells=None):
        np.save(os.path.join(out, f"{len(index):03d}.npy"), array)
        index.append({"key": key, "window": cells})

    places, affected = geometry(param), before_max_pooling(param)
    for name in own_blobs(net):
        if name == "label":
            continue
        blob = net.blobs[name]
        keep("data of blob " + name, blob.data)
        cells = None
        if name in affected and name != "data":
            cells = window(places[name], tuple(blob.shape), height, width)
        keep("diff of blob " + name, blob.diff, cells)
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            keep(f"diff of parameter {name}[{number}]", blob.diff)
    with open(os.path.join(out, "index.json"), "w") as stream:
        json.dump({"engine": engine_name(), "arrays": index}, stream)


if __name__ == "__main__":
    main()
