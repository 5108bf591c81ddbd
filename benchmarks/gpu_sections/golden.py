"""Every layer type against BVLC Caffe's stored results, tests/oracle/golden."""

import importlib.util
import os
import sys

from gpu_sections.machine import CHECKOUT, Machine

sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))
import case_runner
import cases
from compare import check_case, difference, tolerance_of
from drawn import draws_on_the_device, sane
from golden import expected
from sides import Result

QUICK_CASES = 1
#: Packages of data bases that a case may need.
BACKENDS = ("lmdb", "plyvel")
NEEDS = {"lmdb": '"kind": "lmdb"', "plyvel": '"kind": "leveldb"'}


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    kinds = [kind for kind in cases.types() if not kind.startswith("solver ")]
    check_kinds(record, kinds[record.part :: record.parts], machine)


def check_kinds(record, kinds, machine, run_case=None):
    """Compare the cases of these types and record what differs."""
    run_case = run_case or case_runner.run_case
    record.fact("cases", 0)
    record.fact("types", 0)
    for kind in kinds:
        pairs = expected(kind)
        if record.options.quick:
            pairs = pairs[:QUICK_CASES]
        with record.step(kind):
            check_kind(record, kind, pairs, machine, run_case)
        record.fact("types", record.facts["types"] + 1)


def check_kind(record, kind, pairs, machine, run_case):
    counted, random, bad, worst, lacking = 0, 0, [], 0.0, {}
    for case, golden in pairs:
        package = lacks(case)
        if package:
            lacking[package] = lacking.get(package, 0) + 1
            continue
        found = run_one(case, run_case)
        drawn = machine.name in ("gpu", "pretend") and draws_on_the_device(case)
        if drawn:
            problems = [] if sane(found, golden) else [f"{found.status}, or NaN, or other shapes"]
            random += 1
        else:
            problems = ["no golden result"] if golden is None else check_case(case, golden, found)
            if golden is not None and not problems:
                worst = max(worst, largest_share(case, golden, found))
            counted += 1
        bad += [f"{case['name']}: {problem}" for problem in problems]
    record.fact("cases", record.facts["cases"] + counted)
    for package, count in lacking.items():
        record.left_out(f"{kind}, {count} cases", f"the package {package} is not here")
    text = f"{counted} cases agree, worst {worst:.2g} of what is allowed"
    if random:
        text += f"; {random} with masks of the GPU's own run"
    if bad:
        text = f"{len(bad)} problems in {len(pairs)} cases: " + "; ".join(bad[:3])
    if counted or random:
        record.check(kind, not bad, text)


def run_one(case, run_case):
    try:
        return Result(case_runner.engine_name(), "ok", run_case(case))
    except Exception as error:  # reported with its case
        return Result(case_runner.engine_name(), f"error: {error!r}"[:400], {})


def lacks(case):
    """The package that a case needs and that is not here, or None."""
    import json

    text = json.dumps(case.get("files", ""))
    for package, sign in NEEDS.items():
        if sign in text and importlib.util.find_spec(package) is None:
            return package
    return None


def largest_share(case, golden, found):
    """Largest difference as a share of what is allowed."""
    shares = [0.0]
    for key, array in golden.arrays.items():
        largest, allowed = difference(array, found.arrays[key], tolerance_of(case, key))
        shares.append(largest / allowed if allowed else 0.0)
    return max(shares)
