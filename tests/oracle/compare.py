"""Compare the engine with BVLC Caffe live, layer type by layer type.

    python tests/oracle/compare.py [--root DIR] [--types Pooling,Crop] [--verbose]

Prints which program produced each side. The exit status is 0 only if every case agrees.
"""

import argparse
import sys
from collections import OrderedDict

import cases
import numpy as np
import rows
from root import OracleMissing, default_root
from sides import Bvlc, Engine, run_cases

ABSOLUTE, RELATIVE = 1e-5, 1e-4
# Pooling windows outside the image hold −FLT_MAX, which would swamp a tolerance relative to the
# maximum; such values must be equal instead.
HUGE = 1e30


def difference(expected, found, tolerance=None):
    """(largest |a − b|, allowed), where allowed = 1e-5 + 1e-4·max|a| over the ordinary values.

    `tolerance`, where a case declares one, is what is allowed instead.
    """
    ordinary = np.abs(expected) < HUGE
    if not np.array_equal(expected[~ordinary], found[~ordinary]):
        return float("inf"), 0.0
    a, b = expected[ordinary].astype(np.float64), found[ordinary].astype(np.float64)
    if a.size == 0:
        return 0.0, ABSOLUTE
    largest = float(np.max(np.abs(a - b)))
    if np.isnan(largest):
        largest = float("inf")
    if tolerance is not None:
        return largest, tolerance
    return largest, ABSOLUTE + RELATIVE * float(np.max(np.abs(a)))


def tolerance_of(case, key):
    """What the case allows for the array under `key` instead of the usual; None: the usual.

    Its `tolerance` maps what is recorded, without the step, to {"absolute": …, "reason": …}.
    """
    declared = case.get("tolerance", {}).get(key.split("/", 1)[1])
    return None if declared is None else float(declared["absolute"])


def zero_reason(case, key):
    """Why the array under `key` is zero in this case, or None when it must not be.

    Keys of `zero_ok` name what is recorded, without the step: "diff/label", "param_diff/bn/0".
    """
    return case.get("zero_ok", {}).get(key.split("/", 1)[1])


def check_case(case, expected, found):
    """List of what differs or is meaningless in one case; empty when the two agree.

    A comparison of nothing is no agreement: empty arrays, arrays of zeros that the case does not
    declare, a failed run and a program compared with itself are all reported.
    """
    if expected.engine == found.engine:
        return [f"both sides were produced by {expected.engine}"]
    failed = [r.engine + " " + r.status for r in (expected, found) if r.status != "ok"]
    if failed:
        return failed
    problems = []
    if set(expected.arrays) != set(found.arrays):
        only = sorted(set(expected.arrays) ^ set(found.arrays))
        problems.append("recorded by one side only: " + ", ".join(only))
    if not expected.arrays:
        problems.append("nothing was recorded")
    for key in expected.arrays:
        if key in found.arrays:
            problem = check_array(case, key, expected.arrays[key], found.arrays[key])
            if problem:
                problems.append(f"{key}: {problem}")
    return problems


def check_array(case, key, a, b):
    if a.shape != b.shape:
        return f"shape {a.shape} expected, {b.shape} found"
    if a.size == 0:
        return "empty"
    if np.isnan(a).any():
        return "the expected array has NaN"
    if not a.any():
        if zero_reason(case, key) is None:
            return "all zero, so the comparison says nothing"
        return f"must be zero ({zero_reason(case, key)})" if b.any() else None
    largest, allowed = difference(a, b, tolerance_of(case, key))
    if largest > allowed:
        place = np.unravel_index(np.argmax(np.abs(a.astype(np.float64) - b)), a.shape)
        where = [int(i) for i in place]
        values = f"expected {float(a[place])!r}, found {float(b[place])!r}"
        return f"differs by {largest:.3g}, allowed {allowed:.3g}; worst at {where}: {values}"
    return None


def largest_ratio(case, expected, found):
    """Largest difference over all arrays as a share of what is allowed, for the summary."""
    ratios = [0.0]
    for key, a in expected.arrays.items():
        b = found.arrays.get(key)
        if b is not None and b.shape == a.shape and a.size:
            largest, allowed = difference(a, b, tolerance_of(case, key))
            ratios.append(largest / allowed if allowed else float(largest and "inf"))
    return max(ratios)


def section_of(kind):
    """Where docs/parity.md lists a type of cases: a name of two words tells what it is about."""
    first = kind.split()[0]
    return {"filler": "Fillers", "net": "Nets", "solver": "Solvers"}.get(first, "Layer types")


def what_of(group):
    """What the cases of one type compared, in words."""
    steps = {step["op"] for case, _, _ in group for step in case["steps"]}
    return ", ".join(
        word
        for op, word in (
            ("forward", "forward"),
            ("backward", "backward"),
            ("step", "weights after each step"),
        )
        if op in steps
    )


def report(selected, expected, found, verbose=False):
    """Print one line per type and the first problems; return the number of failed cases."""
    names = [sorted({r.engine for r in side}) for side in (expected, found)]
    print("expected by: {}\nfound by:    {}".format(*(", ".join(n) for n in names)))
    print("{:<26} {:>5} {:>7} {:>17}".format("type", "cases", "failed", "largest/allowed"))
    groups = OrderedDict()
    for case, a, b in zip(selected, expected, found):
        groups.setdefault(case["type"], []).append((case, a, b))
    failed = 0
    for kind, group in groups.items():
        worst = max(largest_ratio(case, a, b) for case, a, b in group)
        bad = [(case["name"], check_case(case, a, b)) for case, a, b in group]
        bad = [(name, problems) for name, problems in bad if problems]
        print(f"{kind:<26} {len(group):>5} {len(bad):>7} {worst:>17.3g}")
        for name, problems in bad if verbose else bad[:3]:
            print("    {}: {}".format(name, "; ".join(problems if verbose else problems[:2])))
        rows.add(section_of(kind), kind, len(group), len(bad), worst, what_of(group))
        failed += len(bad)
    print(f"{failed} of {len(selected)} cases failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--types", help="comma-separated types; default: all")
    parser.add_argument("--verbose", action="store_true", help="every problem, not the first ones")
    arguments = parser.parse_args()
    selected = cases.select(arguments.types.split(",") if arguments.types else None)
    try:
        expected = run_cases(Bvlc(arguments.root), selected)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    found = run_cases(Engine(), selected)
    sys.exit(1 if report(selected, expected, found, arguments.verbose) else 0)


if __name__ == "__main__":
    main()
