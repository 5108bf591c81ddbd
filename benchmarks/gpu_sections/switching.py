"""One net on the CPU, the device and the CPU again; nothing kept from one may reach the other."""

import os
import sys
import tempfile

import numpy as np

import caffe
from gpu_sections import fcn8s, golden
from gpu_sections.machine import CHECKOUT, Machine, equal_share, nets_path, relative_error

sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))
import case_runner
import cases

#: Experiments, the share of their channels that is kept out of 1, height and width.
NETS = (
    ("voc-fcn8s", 8, 64, 80),
    ("voc-fcn8s-resnet50", 8, 97, 65),
    ("voc-fcn-googlenet", 8, 97, 65),
    ("voc-fcn-alexnet", 4, 64, 80),
    ("camvid-fcn8s", 1, 96, 64),
    ("toy-fcn8s", 1, 64, 64),
    ("toy-unet", 1, 64, 64),
)
QUICK = (("voc-fcn8s", 16, 40, 48), ("toy-fcn8s", 1, 32, 32))
FORWARD = 1e-3  # of the largest value of each output
GRADIENT = 2e-2  # of each gradient's norm: ties of ReLU and Pooling fall either way
CASES = 6


def run(record):
    machine = Machine(record.options.device)
    with tempfile.TemporaryDirectory() as folder:
        for name, share, height, width in QUICK if record.options.quick else NETS:
            if os.path.exists(nets_path(name, "train")):
                with record.step(name):
                    one_net(record, machine, folder, name, share, height, width)
            else:
                record.left_out(name, "there is no such net")
    golden_cases(record, machine)


def one_net(record, machine, folder, name, share, height, width):
    param = fcn8s.train_param(height, width, share, name, force_backward=True)
    machine.leave()
    net = fcn8s.net_of(param, folder, caffe.TRAIN)
    fcn8s.set_weights(net, fcn8s.random_weights(net))
    images, labels = fcn8s.pictures(height, width, classes=5)

    def passes(mode):
        mode()
        caffe.set_random_seed(7)
        net.blobs["data"].data[...] = images[0] / 64
        net.blobs["label"].data[...] = labels[0]
        for which, blobs in net.params.items():
            if net.layer_dict[which].type == "BatchNorm":  # what the passes before have moved
                for index, blob in enumerate(blobs):
                    blob.data[...] = index > 0
        net.clear_param_diffs()
        net.forward()
        forward = {k: net.blobs[k].data.copy() for k in net.blobs if k.startswith("score")}
        net.backward()
        diffs = {(k, i): b.diff.copy() for k, v in net.params.items() for i, b in enumerate(v)}
        return forward, diffs

    first = passes(machine.leave)
    there = passes(machine.enter)
    again = passes(machine.enter)
    back = passes(machine.leave)
    dropout = any(layer.type == "Dropout" for layer in net.layers)
    for part, what in enumerate(("scores", "gradients")):
        same = {k: (first[part][k], back[part][k]) for k in first[part]}
        worst = equal_share(same)
        record.check(
            f"{name}: {what} on the CPU again", worst[0] == 0, f"{worst[0]:.2g} {worst[1]}"
        )
    if dropout and machine.name in ("gpu", "pretend"):
        finite = all(np.isfinite(a).all() for found in there for a in found.values())
        record.check(f"{name}: finite there (Dropout's masks differ)", finite)
        worst = equal_share({k: (there[0][k], again[0][k]) for k in there[0]})
        record.check(f"{name}: twice there", worst[0] <= 1e-5, f"{worst[0]:.2g} {worst[1]}")
        return
    worst = equal_share({k: (first[0][k], there[0][k]) for k in first[0]})
    record.check(f"{name}: scores there", worst[0] <= FORWARD, f"{worst[0]:.2g} {worst[1]}")
    norms = [(relative_error(first[1][k], there[1][k]), k) for k in first[1] if np.any(first[1][k])]
    error, key = max(norms)
    record.check(f"{name}: gradients there", error <= GRADIENT, f"{error:.2g} of the norm, {key}")


class Alternating(case_runner.Run):
    """A case whose passes change the device: each forward runs elsewhere than the one before."""

    machine = None

    def __init__(self, case, folder):
        self.passes = 0
        self.machine.leave()
        super().__init__(case, folder)

    def do_forward(self, step):
        self.passes += 1
        if self.passes % 2:
            self.machine.enter()
        else:
            self.machine.leave()
        super().do_forward(step)


def golden_cases(record, machine):
    """The first cases of each type, built on the CPU, computed there and elsewhere in turns."""
    Alternating.machine = machine
    kinds = [kind for kind in cases.types() if not kind.startswith(("solver ", "filler "))]
    original, problems, counted = case_runner.Run, [], 0
    case_runner.Run = Alternating
    try:
        for kind in kinds:
            for case, stored in golden.expected(kind)[: 1 if record.options.quick else CASES]:
                if stored is None or golden.lacks(case) or golden.draws_on_the_device(case):
                    continue
                found = golden.run_one(case, case_runner.run_case)
                problems += [f"{case['name']}: {p}" for p in golden.check_case(case, stored, found)]
                counted += 1
    finally:
        case_runner.Run = original
    text = f"{counted} cases of {len(kinds)} types, {len(problems)} problems"
    record.fact("problems", problems[:100])
    record.check("golden cases in turns", not problems, "; ".join([text] + problems[:4]))
