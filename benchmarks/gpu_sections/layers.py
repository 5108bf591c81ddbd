"""Layers that only forks have, on the device against the CPU: passes, and replayed ones."""

import warnings

import numpy as np
from fork_layers import CASES, PASSES, passes, worst_share

from gpu_sections.graphs import replays
from gpu_sections.machine import Machine

BOUND = 1e-4  # of each array's largest value
#: Rounding decides into which simplex of the lattice a pixel falls.
ROUGH = {"DenseCRF": 1e-2, "MultiStageMeanfield": 1e-2}


def run(record):
    machine = Machine(record.options.device)
    names = list(CASES)[record.part :: record.parts]
    with replays(machine) as counted:
        for name in names[::6] if record.options.quick else names:
            with record.step(name):
                one(record, machine, name, counted)


def one(record, machine, name, counted):
    machine.leave()
    expected = passes(name, 1)[0]
    machine.enter()
    before = counted[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = passes(name)
    replayed = counted[0] - before
    refused = [str(w.message) for w in caught if "CUDA graph" in str(w.message)]
    if CASES[name].drawn:
        same = all(array.shape == expected[key].shape for r in found for key, array in r.items())
        finite = all(np.isfinite(array).all() for r in found for array in r.values())
        record.check(name, same and finite and not refused, "the device's own random numbers")
        return
    shares = [worst_share(expected, results) for results in found]
    bound = ROUGH.get(name, BOUND)
    text = f"worst {max(shares):.2g} of the maximum in {PASSES} passes, {replayed} replays"
    record.check(name, max(shares) <= bound and not refused, "; ".join([text, *refused]))
