"""The solvers: stored trajectories of BVLC Caffe, and 20 steps of each type against the CPU."""

import os
import sys
import tempfile

import numpy as np

from gpu_sections import golden
from gpu_sections.machine import CHECKOUT, Machine, share

sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))
import case_runner
import cases
from cases.make import Choice, case, feed
from cases.solvers import POLICIES, solver_text
from trajectories import BASE_LR, SHAPES, STEPS, TYPES, by_step, smooth_net

TOLERANCE = 1e-4  # of the largest weight, as between the programs
CLIP = 0.5


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    steps = 3 if record.options.quick else STEPS
    ways = ((None, 1), (CLIP, 1), (None, 2), (CLIP, 3))
    for kind in TYPES:
        for clip, iter_size in ways[3:] if record.options.quick else ways:
            name = f"{kind}, iter_size {iter_size}" + (", clipping" if clip else "")
            with record.step(name):
                against_the_cpu(record, machine, name, combination(kind, clip, iter_size, steps))
    for kind in TYPES[:1] if record.options.quick else TYPES:
        with record.step(f"{kind}, diffs"):
            diffs_afterwards(record, machine, kind, steps)
    machine.enter()
    kinds = [kind for kind in cases.types() if kind.startswith("solver ")]
    golden.check_kinds(record, kinds, machine)


def diffs_afterwards(record, machine, kind, steps):
    """What a diff holds after an update is what was subtracted, though nobody copied it: read it
    after some updates, let it be after others, and write one before another."""
    made = combination(kind, None, 1, 1)
    feeds = [step for step in made["steps"] if step["op"] != "step"]
    machine.leave()
    expected = diffs_read(made, feeds, steps)
    machine.enter()
    found = diffs_read(made, feeds, steps)
    worst = max(share(a, b) for a, b in zip(expected, found))
    moved = all(a.any() for a in expected)
    text = f"worst {worst:.2g} of the largest, {len(found)} diffs"
    record.check(f"{kind}: diffs after updates", worst <= TOLERANCE and moved, text)


def diffs_read(made, feeds, steps):
    with tempfile.TemporaryDirectory() as folder:
        run = case_runner.Run(made, folder)
        run.execute(feeds)
        found = []
        for number in range(steps):
            run.solver.step(1)
            if number % 2 == 0:
                found += [b.diff.copy() for blobs in run.net.params.values() for b in blobs]
        run.net.clear_param_diffs()
        run.net.forward()
        run.net.backward()
        run.net.params["conv"][0].diff[...] *= 2
        run.solver.apply_update()
        return found + [
            run.net.params["conv"][0].diff.copy(),
            run.net.params["conv"][0].data.copy(),
        ]


def combination(kind, clip, iter_size, steps):
    """A case of some steps, all weights recorded after each."""
    choice = Choice(f"gpu {kind} {clip} {iter_size}", 0)
    fields = {
        "type": kind,
        "base_lr": BASE_LR[kind],
        "weight_decay": 0.01,
        "delta": 1e-3,
        "momentum": 0 if kind in ("AdaGrad", "RMSProp") else 0.9,
        "max_iter": 2 * steps,
        "clip_gradients": clip,
        "iter_size": iter_size if iter_size > 1 else None,
    }
    if kind == "RMSProp":
        fields["rms_decay"] = 0.95
    made = [{"op": "params", "array": choice.normal(scale=0.3)}, {"op": "record", "what": "params"}]
    for _ in range(steps):
        made += feed({"x": choice.normal(SHAPES["x"]), "t": choice.normal(SHAPES["t"], scale=2)})
        made.append({"op": "step", "count": 1})
    solver = solver_text(POLICIES[1], **fields)
    return case(f"trajectory {kind}", 0, smooth_net(), made, solver=solver)


def against_the_cpu(record, machine, name, made):
    machine.leave()
    expected = by_step(golden.Result("cpu", "ok", case_runner.run_case(made)))
    machine.enter()
    found = by_step(golden.Result("device", "ok", case_runner.run_case(made)))
    largest = max(float(np.abs(w).max()) for w in expected[-1].values())
    shares = [
        max(float(np.abs(a[key] - b[key]).max()) for key in a) / largest
        for a, b in zip(expected, found)
    ]
    moved = max(float(np.abs(expected[-1][k] - expected[0][k]).max()) for k in expected[0])
    holds = len(expected) == len(found) and max(shares) <= TOLERANCE and moved > 0
    record.check(
        name, holds, f"worst {max(shares):.2g} of the largest weight in {len(shares) - 1} steps"
    )
