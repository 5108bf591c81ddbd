"""kill -9 at random moments of a snapshot: what is on the disk afterwards is whole, or refused.

    python tests/fuzz/kill_snapshots.py [--tries 200] [--seed 1]

A process writes one snapshot after another, binary and HDF5 in turn by --tries, and is killed at a
random moment.  Its weights and history are all equal to the number of updates, so a file that is
cut, mixed or of another moment is told by its numbers.  After every kill

* every state that restore accepts has the numbers of its name, and weights that do;
* the newest snapshot that the process had reported as done is among them;
* what is left of the one under way (a temporary file) is no snapshot by name.

Half of the tries write new names, the others the same name again and again: then each of the two
files is the old or the new one, whole.
"""

from __future__ import annotations

import argparse
import glob
import os
import random
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import caffe
from caffe import glog

SOLVER = """
net_param {
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 200 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
    inner_product_param { num_output: 1500 } } }
base_lr: 0.1 lr_policy: "multistep" gamma: 0.5 stepvalue: 1 momentum: 0.9
snapshot_prefix: "s" snapshot_format: %s
"""


def make(form: str):
    Path("solver.prototxt").write_text(SOLVER % form)
    return caffe.get_solver("solver.prototxt")


def fill(solver, number: int) -> None:
    for blob in solver.net.params["ip"]:
        blob.data[...] = number
    history = [torch.full(shape, float(number)) for shape in solver.history_shapes()]
    solver.set_state(number, number, history)


def write_forever(form: str, same_name: bool, report: int) -> None:
    """What the process does that is killed: says on ``report`` what it begins and has done."""
    solver = make(form)
    number = 0
    while True:
        number += 1
        fill(solver, number)
        if same_name:
            solver.set_state(1, number, solver._update.history)
        os.write(report, f"begin {number}\n".encode())
        solver.snapshot()
        os.write(report, f"done {number}\n".encode())


def restored(solver, path: str) -> tuple[int, set, set]:
    """(iter, values of the weights, values of the history) after restore."""
    fill(solver, -1)
    solver.restore(path)
    values = {float(v) for b in solver.net.params["ip"] for v in np.unique(b.data)}
    history = {float(v) for a in solver.history_arrays() for v in np.unique(a)}
    return solver.iter, values, history


def check(form: str, same_name: bool, done: int, begun: int) -> str:
    """What is wrong with the files in this folder; empty where nothing is."""
    suffix = ".h5" if form == "HDF5" else ""
    solver = make(form)
    states = glob.glob(f"*.solverstate{suffix}")
    accepted = []
    for path in states:
        try:
            number, values, history = restored(solver, path)
        except caffe.Error as error:  # nothing under a snapshot's name may be unreadable
            return f"{path}: {error}"
        if same_name:
            if len(values) != 1 or len(history) != 1 or not values | history <= {done, begun}:
                return f"{path}: weights {values}, history {history}; done {done}, begun {begun}"
            accepted.append(done)
            continue
        if values != {number} or history != {number} or f"_{number}." not in path:
            return f"{path}: iter {number}, weights {values}, history {history}"
        accepted.append(number)
    if done and done not in accepted:
        return f"snapshot {done} was done and is lost: {sorted(os.listdir())}"
    for path in glob.glob(f"*.caffemodel{suffix}"):
        try:
            solver.net.copy_from(path)
        except caffe.Error as error:
            return f"{path}: {error}"
        values = {float(v) for b in solver.net.params["ip"] for v in np.unique(b.data)}
        if len(values) != 1 or not values <= set(range(1, begun + 1)):
            return f"{path}: values {values}"
    name = re.compile(rf"s_iter_\d+\.(caffemodel|solverstate){suffix}(\.tmp-.*)?|solver\.prototxt")
    strange = [path for path in os.listdir() if not name.fullmatch(path)]
    return f"unexpected files {strange}" if strange else ""


def attempt(form: str, same_name: bool, rng: random.Random) -> tuple[str, bool]:
    """One kill, in a new folder: (what is wrong, whether it fell within a snapshot)."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            done, begun = write_and_kill(form, same_name, rng.uniform(0, 0.15))
            return check(form, same_name, done, begun), done < begun
        finally:
            os.chdir(before)


def write_and_kill(form: str, same_name: bool, seconds: float) -> tuple[int, int]:
    """Kill a process so long after its first snapshot began: the last number done, and begun."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_forever(form, same_name, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as reports:
        first = reports.readline()
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        lines = [first, *reports]
    os.waitpid(pid, 0)
    numbers = {word: int(number) for word, number in (line.split() for line in lines)}
    return numbers.get("done", 0), numbers["begin"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    glog.init_log(2)
    rng = random.Random(given.seed)
    wrong, within = [], 0
    for number in range(given.tries):
        form = ("BINARYPROTO", "HDF5")[number % 2]
        what, inside = attempt(form, number // 2 % 2 == 1, rng)
        within += inside
        if what:
            wrong.append(f"try {number}, {form}: {what}")
            print(wrong[-1])
    print(f"{given.tries} kills, {within} of them within a snapshot: {len(wrong)} went wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
