"""Train with BVLC Caffe and keep what it did: python3 tests/caffe/golden/solver.py

Every case is a solver; its result in solver.npz holds the parameters and their diffs at the end,
and its log lines.  The data are random and come from Caffe's own generator, so the draws of data
layers, fillers and test nets are checked with them.
"""

import os
import re
import subprocess
import sys
import tempfile

import numpy as np

NET = """
name: "golden"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 6 } shape { dim: 8 dim: 3 }
    data_filler { type: "gaussian" } data_filler { type: "uniform" min: -1 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "ip1" top: "ip1" }
layer { name: "frozen" type: "InnerProduct" bottom: "ip1" top: "frozen"
  param { lr_mult: 0 } param { lr_mult: 0 }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "ip2" type: "InnerProduct" bottom: "frozen" top: "zip2" param { decay_mult: 3 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "zip2" bottom: "label" top: "loss"
  loss_weight: 2 }
layer { name: "part" type: "Slice" bottom: "data" top: "b" top: "a" include { phase: TEST }
  slice_param { slice_point: 1 } }
layer { name: "hush" type: "Silence" bottom: "b" include { phase: TEST } }
"""

_LR = 'type: "SGD" base_lr: 0.1 max_iter: 10 momentum: 0.5 display: 1 '
CASES = {
    # name: (steps, solver text)
    "fixed": (7, _LR + 'lr_policy: "fixed" weight_decay: 0.05'),
    "step": (7, _LR + 'lr_policy: "step" gamma: 0.3 stepsize: 2'),
    "exp": (7, _LR + 'lr_policy: "exp" gamma: 0.7'),
    "inv": (7, _LR + 'lr_policy: "inv" gamma: 0.3 power: 0.75'),
    "multistep": (7, _LR + 'lr_policy: "multistep" gamma: 0.5 '
                     "stepvalue: 1 stepvalue: 1 stepvalue: 4"),
    "poly": (7, _LR + 'lr_policy: "poly" power: 0.9'),
    "sigmoid": (7, _LR + 'lr_policy: "sigmoid" gamma: 0.8 stepsize: 3'),
    "l1": (6, _LR + 'lr_policy: "fixed" weight_decay: 0.02 regularization_type: "L1"'),
    "clip": (
        8,
        'base_lr: 0.05 momentum: 0.9 lr_policy: "fixed" weight_decay: 0.01 iter_size: 3 '
        "clip_gradients: 4 average_loss: 3 display: 2",
    ),
    "nesterov": (7, 'type: "Nesterov" base_lr: 0.05 momentum: 0.8 lr_policy: "fixed" '
                    "weight_decay: 0.01"),
    "adagrad": (7, 'type: "AdaGrad" base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.01'),
    "rmsprop": (7, 'type: "RMSProp" base_lr: 0.02 lr_policy: "fixed" rms_decay: 0.7 delta: 1e-4'),
    "adadelta": (7, 'type: "AdaDelta" base_lr: 1 lr_policy: "fixed" momentum: 0.9 delta: 1e-4'),
    "adam": (7, 'type: "Adam" base_lr: 0.02 lr_policy: "fixed" momentum: 0.9 momentum2: 0.95'),
    "tests": (
        5,
        'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 test_iter: 3 test_iter: 1 test_interval: 2 '
        "test_compute_loss: true test_state { } test_state { stage: 'x' } display: 2",
    ),
    "no_first_test": (
        3,
        'base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 2 test_initialization: false',
    ),
    # solve() to max_iter
    "solve": (
        None,
        'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 6 display: 2 snapshot: 4 '
        'snapshot_prefix: "s" test_iter: 1 test_interval: 3 average_loss: 2',
    ),
    "solve_hdf5": (
        None,
        'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 4 snapshot: 4 '
        'snapshot_prefix: "s" snapshot_format: HDF5',
    ),
    # weights.py's run, continued from its snapshot in either format
    "resumed": (2, "snap_iter_3.solverstate"),
    "resumed_hdf5": (2, "snap_iter_3.solverstate.h5"),
}  # fmt: skip
HERE = os.path.dirname(os.path.abspath(__file__))


def run(name, get_solver, set_random_seed):
    """Run one case in the working directory; the arrays it left, by name."""
    steps, text = CASES[name]
    resumed = text if name.startswith("resumed") else None
    if resumed:
        sys.path.insert(0, HERE)
        import weights

        text = weights.SOLVER % (weights.NET, "BINARYPROTO", "false")
    else:
        text = "random_seed: 11 net_param {" + NET + "}\n" + text + "\n"
    with open("solver.prototxt", "w") as f:
        f.write(text)
    solver = get_solver("solver.prototxt")
    if resumed:
        os.chdir(HERE)  # the state names its weights relative to the folder of the training
        solver.restore(resumed)
        set_random_seed(5)
        solver.step(steps)
    elif steps is None:
        solver.solve()
    else:
        solver.step(steps)
    result = {"iter": np.array(solver.iter)}
    for layer, blobs in solver.net.params.items():
        for i, blob in enumerate(blobs):
            result[f"{layer}.{i}"] = blob.data.copy()
            result[f"{layer}.{i}.diff"] = blob.diff.copy()
    return result


def log_lines(text):
    """The solver's messages in a log, without glog's prefix and what depends on the clock."""
    lines = []
    for line in text.splitlines():
        match = re.match(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\w+)\.cpp:\d+\] (.*)", line)
        if match and match.group(1) in ("solver", "sgd_solver"):
            message = match.group(2)
            if re.match("Initializing solver|Creating t|Finetuning", message):
                continue
            lines.append(re.sub(r"\(\S+ iter/s, \S+s/", "(R iter/s, Ts/", message))
    return lines


def main():
    import caffe

    engine = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
    results = {"engine": np.array(engine)}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, os.path.abspath(__file__), name]
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, "GLOG_minloglevel": "0"},
                stderr=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            with np.load(os.path.join(folder, "out.npz")) as arrays:
                results.update({f"{name}/{key}": arrays[key] for key in arrays.files})
            results[f"{name}/log"] = np.array(log_lines(done.stderr))
    np.savez_compressed(os.path.join(HERE, "solver.npz"), **results)
    print(f"engine: {engine}, {len(CASES)} cases, {len(results)} arrays")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import caffe

        folder = os.getcwd()
        arrays = run(sys.argv[1], caffe.get_solver, caffe.set_random_seed)
        np.savez(os.path.join(folder, "out.npz"), **arrays)
    else:
        main()
