"""Run one net of the zoo forward under whichever `caffe` is imported.

    python zoo_runner.py NET.prototxt PHASE WEIGHTS OUT_DIR [--write]

With --write, random weights of He's scale are written to WEIGHTS first. Then the net is built anew
and loads WEIGHTS; its inputs are filled by name, and every blob is written as OUT_DIR/NNN.npy, with
the program's name and the blobs' names in OUT_DIR/index.json.
"""

import json
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
from case_runner import engine_name, own_blobs

import caffe

SEED = 1337
#: Inputs that hold numbers of classes or words, and how many of these there are at least.
LABELS = {"label": 10, "sim": 2, "input_sentence": 50, "target_sentence": 50}


def fill(net, rng):
    """He-scaled weights, small biases; statistics and scales near those of unit variance.

    What a residual sum adds last is scaled down: it would grow with depth, and in training, where
    every sum is normalised anew, so would rounding errors.
    """
    added = {
        net.bottom_names[name][-1]
        for name, layer in net.layer_dict.items()
        if layer.type == "Eltwise"
    }
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        if kind == "BatchNorm":
            factor = 2  # blobs hold sums, and what to divide them by
            blobs[0].data[...] = factor * 0.1 * rng.standard_normal(blobs[0].data.shape)
            blobs[1].data[...] = factor * rng.uniform(0.5, 1.5, blobs[1].data.shape)
            blobs[2].data[...] = factor
        elif kind == "Scale":
            low, high = (0.1, 0.3) if net.top_names[name][0] in added else (0.6, 1.2)
            blobs[0].data[...] = rng.uniform(low, high, blobs[0].data.shape)
            blobs[1].data[...] = 0.1 * rng.standard_normal(blobs[1].data.shape)
        else:
            for blob in blobs:
                fill_weights(blob.data, rng, 1.0 if kind == "LSTM" else 2.0)


def fill_weights(array, rng, gain):
    if array.ndim == 1:
        array[...] = 0.1 * rng.standard_normal(array.shape)
        return
    scale = np.sqrt(gain * array.shape[0] / array.size)
    for row in array:  # row by row: the largest weight alone has a hundred million elements
        row[...] = scale * rng.standard_normal(row.shape)


def feed(net, rng):
    """Fill the inputs: numbers of classes, where sentences begin, or unit normal numbers."""
    for name in net.inputs:
        data = net.blobs[name].data
        if name in LABELS:
            data[...] = rng.randint(0, LABELS[name], data.shape)
        elif name == "cont_sentence":
            data[...] = np.arange(len(data)).reshape(-1, 1) > 0
        else:
            data[...] = rng.standard_normal(data.shape)


def main():
    path, phase, weights, out = sys.argv[1:5]
    phase = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}[phase]
    if "--write" in sys.argv:
        net = caffe.Net(path, phase)
        fill(net, np.random.RandomState(SEED))
        net.save(weights)
        del net
    net = caffe.Net(path, phase, weights=weights)
    feed(net, np.random.RandomState(SEED + 1))
    caffe.set_random_seed(SEED)  # the masks of Dropout
    net.forward()
    names = [name for name in own_blobs(net) if name not in net.inputs]
    for number, name in enumerate(names):
        np.save(os.path.join(out, f"{number:03d}.npy"), net.blobs[name].data)
    with open(os.path.join(out, "index.json"), "w") as stream:
        json.dump({"engine": engine_name(), "arrays": names}, stream)


if __name__ == "__main__":
    main()
