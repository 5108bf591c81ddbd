"""Training that stops and goes on from its snapshot, against training that never stopped."""

import os
import subprocess
import sys
import tempfile

import numpy as np

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has

SEED, STEPS, STOP = 11, 10, 5
#: Experiment, kind of solver, share of channels, height, width, batch, and the solver's settings.
RUNS = (
    ("voc-fcn8s", "SGD", 8, 120, 160, 1, {"base_lr": 1e-9, "momentum": 0.99}),
    ("camvid-fcn8s", "Adam", 1, 96, 128, 2, {"base_lr": 1e-3, "momentum": 0.9}),
)


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    modes = [True, False] if has(record, "set_deterministic", "deterministic") else [False]
    runs = RUNS
    if record.options.quick:
        runs, modes = RUNS[:1], modes[:1]
    for number, settings in enumerate(runs):
        for deterministic in modes:
            name = f"{settings[0]}, {settings[1]}"
            with record.step(name), tempfile.TemporaryDirectory() as folder:
                one_run(record, name, number, deterministic, folder)


def make(number, folder):
    experiment, kind, share, height, width, batch, fields = RUNS[number]
    param = fcn8s.train_param(height, width, share, experiment, batch)
    made = fcn8s.solver(param, folder, kind=kind, **fields)
    data = fcn8s.pictures(height, width, STEPS, classes=5, batch=batch)
    return made, data


def train(solver, data, until, losses):
    """Steps whose random numbers depend on the iteration alone, as in solve.py."""
    images, labels = data
    while solver.iter < until:
        solver.net.blobs["data"].data[...] = images[solver.iter] / 32
        solver.net.blobs["label"].data[...] = labels[solver.iter]
        caffe.set_random_seed(SEED + solver.iter)
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))


def weights_of(net):
    return {f"{k}/{i}": b.data.copy() for k, v in net.params.items() for i, b in enumerate(v)}


def one_run(record, name, number, deterministic, folder):
    if hasattr(caffe, "set_deterministic"):
        caffe.set_deterministic(deterministic)
    whole, data = make(number, folder)
    fcn8s.set_weights(whole.net, fcn8s.random_weights(whole.net))
    start, losses = weights_of(whole.net), []
    train(whole, data, STOP, losses)
    whole.snapshot()
    state = os.path.join(folder, f"solver_iter_{STOP}.solverstate")
    train(whole, data, STEPS, losses)
    expected = weights_of(whole.net)
    moved = any(not np.array_equal(start[k], expected[k]) for k in start)
    sound = np.isfinite(losses).all() and moved
    places = {"in this process": lambda: resumed(number, folder, state)}
    if record.options.device == "gpu" and deterministic:
        places["in a new process"] = lambda: resumed_elsewhere(record, number, folder, state)
    for place, resume in places.items():
        found = resume()
        same = sum(np.array_equal(expected[k], found[k]) for k in expected)
        largest = max(float(np.abs(expected[k] - found[k]).max()) for k in expected)
        text = f"{same} of {len(expected)} arrays equal, largest difference {largest:.2g}"
        if deterministic:
            holds = same == len(expected) and sound
            record.check(f"{name}: deterministic, resumed {place}", holds, text)
        else:
            record.report(f"{name}: by default, resumed {place}", text)


def resumed(number, folder, state):
    again, data = make(number, folder)
    again.restore(state)
    train(again, data, STEPS, [])
    return weights_of(again.net)


def resumed_elsewhere(record, number, folder, state):
    """The same in a process of its own, as after a crash."""
    out = os.path.join(folder, "resumed.npz")
    command = [sys.executable, "-m", "gpu_sections.resume", record.options.device]
    benchmarks = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([p for p in sys.path if p]))
    done = subprocess.run(
        command + [str(number), folder, state, out],
        cwd=os.path.dirname(benchmarks),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"the resumed process failed: {done.stderr[-800:]}")
    with np.load(out) as stored:
        return {key.replace("|", "/"): stored[key] for key in stored.files}


def main(device, number, folder, state, out):
    Machine(device).enter()
    caffe.set_deterministic(True)
    found = resumed(int(number), folder, state)
    np.savez(out, **{key.replace("/", "|"): array for key, array in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
