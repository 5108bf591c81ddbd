"""Train or resume a small FCN under whichever `caffe` is imported.

    python snapshot_runner.py train  DIR FORMAT TYPE     10 iterations, with a snapshot after 5
    python snapshot_runner.py resume DIR FORMAT TYPE     from that snapshot, 5 more

DIR holds net.prototxt; FORMAT is BINARYPROTO or HDF5, TYPE a solver's. Data depend on the iteration
alone. Writes DIR/<action>.npz: the parameters at iteration 5 ("half/…") and 10 ("end/…"), and the
program's name.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import arrays
import numpy as np
from case_runner import engine_name

import caffe

HALF = 5
SUFFIX = {"BINARYPROTO": ".solverstate", "HDF5": ".solverstate.h5"}
SOLVER = """
base_lr: 0.0005 lr_policy: "step" gamma: 0.5 stepsize: 4 weight_decay: 0.01
max_iter: 100 display: 0 random_seed: 5 solver_mode: CPU snapshot_after_train: false
"""
# The default delta, 1e-8, would make a step of a rounding error where a gradient is nearly zero.
RULES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "delta: 1e-3",
    "RMSProp": "delta: 1e-3 rms_decay: 0.9",
    "AdaDelta": "delta: 1e-3 momentum: 0.9",
    "Adam": "delta: 1e-3 momentum: 0.9",
}


def solver_for(folder, kind, action, rule):
    path = os.path.join(folder, action + ".prototxt")
    with open(path, "w") as stream:
        stream.write(
            'net: "{}"\nsnapshot_prefix: "{}"\nsnapshot_format: {}\n'.format(
                os.path.join(folder, "net.prototxt"), os.path.join(folder, "snap"), kind
            )
            + SOLVER
            + f'type: "{rule}" {RULES[rule]}\n'
        )
    return caffe.get_solver(path)


def train_half(solver):
    """Five iterations, each on an image and labels that its number decides."""
    for _ in range(HALF):
        image, label = solver.net.blobs["data"], solver.net.blobs["label"]
        image.data[...] = arrays.make({"kind": "normal", "seed": solver.iter}, image.data.shape)
        label.data[...] = arrays.make(
            {"kind": "labels", "seed": solver.iter, "classes": 3, "ignore": 255}, label.data.shape
        )
        caffe.set_random_seed(solver.iter)  # Dropout's masks: a snapshot holds no random state
        solver.step(1)


def parameters(solver, prefix):
    return {
        f"{prefix}/{name}/{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }


def main():
    action, folder, kind, rule = sys.argv[1:5]
    solver = solver_for(folder, kind, action, rule)
    if action == "train":
        for number, (name, blobs) in enumerate(solver.net.params.items()):
            if name.startswith("upscore"):
                continue  # keeps its bilinear filler
            for blob in blobs:
                spec = {"kind": "normal", "seed": number, "scale": 0.3}
                blob.data[...] = arrays.make(spec, blob.data.shape)
        train_half(solver)
        solver.snapshot()
    else:
        solver.restore(os.path.join(folder, f"snap_iter_{HALF}{SUFFIX[kind]}"))
        if solver.iter != HALF:
            raise RuntimeError(f"restored at iteration {solver.iter}, expected {HALF}")
    found = parameters(solver, "half")
    train_half(solver)
    found.update(parameters(solver, "end"))
    np.savez(os.path.join(folder, action + ".npz"), __engine__=np.array(engine_name()), **found)


if __name__ == "__main__":
    main()
