"""Plant defects in a copy of the engine, one by one, and show that the comparison catches each.

    python tests/oracle/teeth.py [--only TEXT]

The reference is the stored golden results, made by BVLC Caffe. A defect counts as caught when a
case that runs gives different numbers or shapes; that the case fails to run does not count. The
exit status is 0 only if the untouched engine agrees and every defect is caught.
"""

import argparse
import os
import shutil
import sys
import tempfile

from compare import check_case
from defects import DEFECTS
from golden import REFRESH, expected
from root import CHECKOUT
from sides import Engine, run_cases

SOURCE = os.path.join(CHECKOUT, "src")


def plant(defect, source):
    """Edit a copy of the source; ValueError unless each place is found exactly once."""
    for name, old, new in [(defect.path, defect.old, defect.new), *defect.also]:
        path = os.path.join(source, "caffe", name)
        with open(path) as stream:
            text = stream.read()
        if text.count(old) != 1:
            raise ValueError(f"{name} holds {text.count(old)} times: {old!r}")
        with open(path, "w") as stream:
            stream.write(text.replace(old, new))


def differing(source, kinds):
    """(number of cases, [(case name, first problem)] of those that ran and differ)."""
    pairs = [pair for kind in kinds for pair in expected(kind)]
    stale = [case["name"] for case, golden in pairs if golden is None]
    if stale:
        sys.exit(f"{stale[0]} has no golden result: {REFRESH}")
    results = run_cases(Engine(source), [case for case, _ in pairs])
    found = []
    for (case, golden), result in zip(pairs, results):
        problems = check_case(case, golden, result)
        if problems:
            found.append((case["name"], problems[0], result.status == "ok"))
    return len(pairs), found


def bite(defect):
    """One line about the defect, and whether it was caught."""
    with tempfile.TemporaryDirectory(prefix="teeth-") as work:
        source = os.path.join(work, "src")
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        try:
            plant(defect, source)
        except (ValueError, OSError) as error:
            return f"NOT PLANTED  {defect.name}: {error}", False
        count, found = differing(source, defect.types)
    caught = [(name, problem) for name, problem, ran in found if ran]
    if not caught:
        failed = f"; {len(found)} failed to run, such as {found[0]}" if found else ""
        return f"MISSED       {defect.name}: {count} cases agree{failed}", False
    name, problem = caught[0]
    return f"caught       {defect.name}: {len(caught)} of {count} cases, {name}: {problem}", True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only defects whose name holds this text")
    only = parser.parse_args().only
    chosen = [defect for defect in DEFECTS if only in defect.name]
    kinds = list(dict.fromkeys(kind for defect in chosen for kind in defect.types))
    count, found = differing(SOURCE, kinds)
    for name, problem, _ in found:
        print(f"without any defect {name} differs: {problem}")
    print(f"untouched engine: {count - len(found)} of {count} cases agree")
    results = []
    for defect in chosen:
        line, caught = bite(defect)
        print(line, flush=True)
        results.append(caught)
    print(f"{sum(results)} of {len(results)} defects caught")
    sys.exit(0 if results and all(results) and not found else 1)


if __name__ == "__main__":
    main()
