"""Run one whole net forward and backward under whichever `caffe` is imported.

    python whole_net_runner.py NET.prototxt OUT_DIR HEIGHT WIDTH [REFERENCE_DIR]

Data layers are replaced by an Input of a random image and random labels with some void. Where the
net's folder holds trained weights, NAME/NAME.caffemodel, these are loaded. Else every convolution
gets random weights of He's scale (with the default fillers everything would be zero and every
comparison empty), deconvolutions bilinear ones. Written: OUT_DIR/NNN.npy per array, and
OUT_DIR/index.json: the program's name and the arrays' keys.

With REFERENCE_DIR, another run's output, the blobs take that run's values between forward and
backward (see whole_nets.py for why).
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
DATA = "data of blob "
#: Standard deviation of a photo's pixels.
CONTRAST = 60


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


def trained(path):
    """The trained weights that lie beside a prototxt, or None."""
    folder = os.path.dirname(os.path.abspath(path))
    weights = os.path.join(folder, os.path.basename(folder) + ".caffemodel")
    return weights if os.path.exists(weights) else None


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


def adopt(net, reference):
    """Give the blobs the values of another run, and poolings the maxima of those values."""
    with open(os.path.join(reference, "index.json")) as stream:
        keys = json.load(stream)["arrays"]
    for number, key in enumerate(keys):
        if key.startswith(DATA):
            blob = net.blobs[key[len(DATA) :]]
            blob.data[...] = np.load(os.path.join(reference, f"{number:03d}.npy"))
    for name, layer in net.layer_dict.items():
        if layer.type == "Pooling":
            net.forward(start=name, end=name)


def main():
    path, out = sys.argv[1:3]
    height, width = int(sys.argv[3]), int(sys.argv[4])
    param, classes = with_input(path, height, width)
    net_path = os.path.join(out, "net.prototxt")
    with open(net_path, "w") as stream:
        stream.write(text_format.MessageToString(param))
    net = caffe.Net(net_path, caffe.TRAIN)
    rng = np.random.RandomState(SEED)
    image = rng.standard_normal((1, 3, height, width))
    weights = trained(path)
    if weights:
        net.copy_from(weights)
        image *= CONTRAST
    else:
        fill(net, rng)
    # With random weights of unit variance rather than a photo's: larger scores would saturate the
    # softmax.
    net.blobs["data"].data[...] = image
    labels = rng.randint(0, classes, (1, 1, height, width))
    labels[rng.uniform(size=labels.shape) < 0.1] = VOID
    net.blobs["label"].data[...] = labels
    caffe.set_random_seed(SEED)  # the masks of Dropout
    index = []

    def keep(key, array):
        np.save(os.path.join(out, f"{len(index):03d}.npy"), array)
        index.append(key)

    names = [name for name in own_blobs(net) if name != "label"]
    net.forward()
    for name in names:
        keep(DATA + name, net.blobs[name].data)
    if len(sys.argv) > 5:
        adopt(net, sys.argv[5])
    net.backward()
    for name in names:
        keep("diff of blob " + name, net.blobs[name].diff)
    for name, blobs in net.params.items():
        measured = net.layer_dict[name].type == "BatchNorm"  # which have no gradient
        for number, blob in enumerate(blobs):
            if measured:
                keep(f"statistics {name}[{number}]", blob.data)
            else:
                keep(f"diff of parameter {name}[{number}]", blob.diff)
    with open(os.path.join(out, "index.json"), "w") as stream:
        json.dump({"engine": engine_name(), "arrays": index}, stream)


if __name__ == "__main__":
    main()
