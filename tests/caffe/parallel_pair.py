"""One of two processes that train together, for test_parallel.py: ``parallel_pair.py RANK UID``.

Runs in a folder with net.prototxt and rows.h5; leaves what it saw in seen_RANK.npz.
"""

import os
import sys
import time

import numpy as np

import caffe
from caffe.errors import DeviceError, SolverError

STEPS = 5
SOLVER = (
    'net: "{net}" type: "{type}" base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 2 '
    "momentum: 0.9 weight_decay: 0.01 random_seed: 3 snapshot_prefix: '{prefix}' {more}"
)
# name -> (more of the solver prototxt for two workers, the same for one with both workers' data)
CASES = {
    "plain": ("layer_wise_reduce: false", "iter_size: 2"),
    "layer by layer": ("layer_wise_reduce: true", "iter_size: 2"),
    "iter_size": ("layer_wise_reduce: true iter_size: 2", "iter_size: 4"),
    # Clipping sees the sum over iter_size, but the mean over workers.
    "clip": ("layer_wise_reduce: false clip_gradients: 0.5", "iter_size: 2 clip_gradients: 1.0"),
}


def make(name, prefix, more, snapshot="", net="net.prototxt"):
    kind = "Nesterov" if name == "clip" else "SGD"
    path = f"{prefix}.prototxt"
    with open(path, "w") as file:
        file.write(SOLVER.format(net=net, type=kind, prefix=prefix, more=f"{more} {snapshot}"))
    return caffe.get_solver(path)


def weights(solver):
    return np.concatenate([b.data.ravel() for v in solver.net.params.values() for b in v])


def train(name, rank, uid, seen):
    solver = make(name, f"worker{rank}", CASES[name][0], "snapshot: 2" if name == "plain" else "")
    seen[f"{name}/before"] = weights(solver)
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    seen[f"{name}/bcast"] = weights(solver)
    solver.add_callback(nccl)
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    for step in range(STEPS):
        solver.step(1)
        seen[f"{name}/{step}"] = weights(solver)
    return solver, nccl


def error(kind, function):
    try:
        function()
    except kind as caught:
        return str(caught)
    return ""


def main(rank, uid):
    caffe.set_solver_count(2)
    caffe.set_solver_rank(rank)
    seen = {}
    for name in CASES:
        solver, nccl = train(name, rank, uid, seen)
        if name == "plain":
            seen["second"] = error(DeviceError, lambda s=solver: caffe.NCCL(s, uid))
            seen["snapshot"] = error(SolverError, solver.snapshot)
            seen["run"] = error(SolverError, lambda n=nccl: n.run(0))
        nccl.close()

    # A worker of another net: both are told.
    with open("net.prototxt") as file:
        text = file.read().replace("num_output: 3", f"num_output: {3 + rank}")
    with open(f"other{rank}.prototxt", "w") as file:
        file.write(text)
    other = make("plain", f"solver{rank}", "", net=f"other{rank}.prototxt")
    seen["other net"] = error(DeviceError, lambda: caffe.NCCL(other, uid))

    # A worker that dies: the other is told at once.
    solver, nccl = train("plain", rank, uid, {})
    if rank == 1:
        np.savez(f"seen_{rank}.npz", **seen)
        os._exit(3)
    began = time.monotonic()
    seen["peer"] = error(caffe.parallel.PeerError, lambda: solver.step(100))
    seen["seconds"] = time.monotonic() - began
    seen["usable"] = solver.net.forward()["loss"]
    np.savez(f"seen_{rank}.npz", **seen)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
