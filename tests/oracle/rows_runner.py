"""Two steps and a scoring pass of one solver under whichever `caffe` is imported.

    python rows_runner.py SOLVER.prototxt OUT.npz SCORE,LABEL…

Writes loss:train (2 values), weights:… and update:… of each parameter blob, and hist:… and loss:…
of each output.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import numpy as np
from case_runner import engine_name

import bootstrap  # noqa: F401  shows the data layers
import caffe
import score
import surgery
from fcn import run_files

SEED = 1337


def fill(net):
    """Weights of He's scale, small biases, BatchNorm's statistics near 0 and 1; bilinear kernels
    for upsampling. Zeros, which published nets start from, would make comparisons empty."""
    rng = np.random.RandomState(SEED)
    types = dict(zip(net._layer_names, (layer.type for layer in net.layers)))
    upsampling = set(surgery.uses_upsampling(net))
    for name, blobs in net.params.items():
        values = [blob.data for blob in blobs]
        if types[name] == "BatchNorm":
            values[0][...] = rng.standard_normal(values[0].shape) * 0.1
            values[1][...] = rng.uniform(0.5, 1.5, values[1].shape)
            values[2][...] = 1
        elif types[name] == "Scale":
            if np.ptp(values[0]) or values[0].flat[0] == 1:  # not the constants of at once
                values[0][...] = rng.uniform(0.5, 1.0, values[0].shape)
            for bias in values[1:]:
                bias[...] = rng.standard_normal(bias.shape) * 0.1
        elif name not in upsampling:
            fan_in = values[0].size // len(values[0])
            for row in values[0]:  # row by row: some have a hundred million values
                row[...] = rng.standard_normal(row.shape) * np.sqrt(2.0 / fan_in)
            for bias in values[1:]:
                bias[...] = rng.standard_normal(bias.shape) * 0.1
    surgery.interp(net, [name for name in net.params if name in upsampling])


def main():
    solver_path, out = sys.argv[1:3]
    caffe.set_mode_cpu()
    solver = caffe.get_solver(solver_path)
    net = solver.net
    fill(net)
    found = {"engine": np.array(engine_name())}
    losses = []
    for step in range(2):
        caffe.set_random_seed(SEED + step)  # the masks of Dropout
        solver.step(1)
        losses.append([float(net.blobs[name].data) for name in net.outputs])
    found["loss:train"] = np.array(losses)
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            found[f"weights:{name} {i}"] = blob.data.copy()
            found[f"update:{name} {i}"] = blob.diff.copy()
    score.share_weights(solver)
    test = solver.test_nets[0]
    for pair in sys.argv[3:]:
        layer, label = pair.split(",")
        result = score.evaluate(test, None, run_files.images(test), layer, label)
        found["hist:" + layer], found["loss:" + layer] = result.hist, np.array([result.loss])
    np.savez(out, **found)


if __name__ == "__main__":
    main()
