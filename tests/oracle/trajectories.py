"""Weight trajectories of every solver type with every rate policy, step by step.

    python tests/oracle/trajectories.py [--root DIR]

From equal weights both programs train 20 steps on equal data; after every step all parameters are
compared. Prints, for each of the 42 combinations, the largest difference as a share of the largest
weight, and the step where it occurs. Fails beyond 1e-4, and where the weights hardly move.
"""

import argparse
import sys

import numpy as np
import rows
from cases.make import Choice, case, feed, inputs, layer, net
from cases.solvers import POLICIES, solver_text
from root import OracleMissing, default_root
from sides import Bvlc, Engine, run_cases

TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
STEPS = 20
TOLERANCE = 1e-4
LEAST_MOVE = 1e-2  # of the largest weight, from the first step to the last
# Smooth layers: a ReLU at exactly zero would make a choice of a rounding error. The gradients are
# sums over a batch of 8 with targets far from the outputs, well above rounding.
SHAPES = {"x": [8, 4, 5, 5], "t": [8, 3]}
BASE_LR = {
    "SGD": 0.02,
    "Nesterov": 0.02,
    "AdaGrad": 0.02,
    "RMSProp": 0.005,
    "AdaDelta": 1.0,
    "Adam": 0.01,
}


def smooth_net():
    mults = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    return net(
        layer(
            "Convolution",
            ["x"],
            ["a"],
            name="conv",
            param=mults,
            convolution_param={"num_output": 4, "kernel_size": 3},
        ),
        layer("TanH", ["a"], ["a"], name="tanh"),
        layer(
            "InnerProduct",
            ["a"],
            ["y"],
            name="ip",
            param=mults,
            inner_product_param={"num_output": 3},
        ),
        layer("EuclideanLoss", ["y", "t"], ["loss"], name="loss"),
        force_backward=False,
    ).replace("layer {", inputs(SHAPES) + "layer {", 1)


def combination(kind, policy):
    name = f"{kind} {policy['lr_policy']}"
    choice = Choice("trajectory " + name, 0)
    fields = {
        "type": kind,
        "base_lr": BASE_LR[kind],
        "weight_decay": 0.01,
        "delta": 1e-4,
        "momentum": 0.9,
        "max_iter": 2 * STEPS,
    }
    if kind in ("AdaGrad", "RMSProp"):
        fields["momentum"] = 0
    if kind == "RMSProp":
        fields["rms_decay"] = 0.95
    if kind == "AdaDelta":
        fields["delta"] = 1e-3
    steps = [
        {"op": "params", "array": choice.normal(scale=0.3)},
        {"op": "record", "what": "params"},
    ]
    for _ in range(STEPS):
        steps += feed({"x": choice.normal(SHAPES["x"]), "t": choice.normal(SHAPES["t"], scale=2)})
        steps.append({"op": "step", "count": 1})
    made = case("trajectory " + name, 0, smooth_net(), steps, solver=solver_text(policy, **fields))
    return made


def by_step(result):
    """One dictionary of parameters a recorded step, in order; the first holds the start."""
    steps = {}
    for key, array in result.arrays.items():
        number, _, name = key.partition("/")
        if name.startswith("param/"):
            steps.setdefault(int(number.split(".")[0]), {})[name] = array
    return [steps[number] for number in sorted(steps)]


def compare(theirs, ours):
    """(largest difference / largest weight, its step from 1, how far the weights moved, problem)"""
    if theirs.status != "ok" or ours.status != "ok":
        return 0, 0, 0, f"BVLC Caffe: {theirs.status}; engine: {ours.status}"
    a, b = by_step(theirs), by_step(ours)
    if len(a) != STEPS + 1 or len(b) != len(a):
        return 0, 0, 0, f"{len(a)} and {len(b)} recorded steps, expected {STEPS + 1}"
    largest = max(float(np.abs(w).max()) for w in a[-1].values())
    shares = [
        max(float(np.abs(x[key] - y[key]).max()) for key in x) / largest for x, y in zip(a, b)
    ]
    moved = max(float(np.abs(a[-1][key] - a[0][key]).max()) for key in a[0]) / largest
    worst = int(np.argmax(shares))
    problem = ""
    if theirs.engine == ours.engine:
        problem = "both sides were produced by " + ours.engine
    elif not max(shares) <= TOLERANCE:
        problem = "beyond the tolerance"
    elif moved < LEAST_MOVE:
        problem = "the weights hardly move, so the comparison says nothing"
    return max(shares), worst, moved, problem


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    given = parser.parse_args()
    pairs = [(kind, policy) for kind in TYPES for policy in POLICIES]
    cases = [combination(kind, policy) for kind, policy in pairs]
    try:
        theirs = run_cases(Bvlc(given.root), cases)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    ours = run_cases(Engine(), cases)
    found = []
    for (kind, policy), a, b in zip(pairs, theirs, ours):
        share, step, moved, problem = compare(a, b)
        found.append((kind, policy["lr_policy"], share, step, problem))
        print(
            f"{kind:9} {policy['lr_policy']:10} worst {share:.2e} of the largest weight at step "
            f"{step:2} of {STEPS}; moved {moved:.2f}" + (f": {problem}" if problem else "")
        )
    for section, column in (("Solvers", 0), ("Learning-rate policies", 1)):
        for name in dict.fromkeys(row[column] for row in found):
            own = [row for row in found if row[column] == name]
            worst = max(own, key=lambda row: row[2])
            rows.add(
                section,
                f"{name}, {STEPS} steps",
                len(own),
                sum(bool(r[4]) for r in own),
                worst[2] / TOLERANCE,
                f"weights after each step, within {TOLERANCE:g} of the "
                f"largest; worst with {worst[1 - column]} at step {worst[3]}",
            )
    bad = [row for row in found if row[4]]
    print(
        f"{len(found)} combinations of {STEPS} steps, {len(bad)} differ; worst "
        f"{max(row[2] for row in found):.2e}"
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
