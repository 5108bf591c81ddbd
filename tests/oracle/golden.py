"""Golden results: what BVLC Caffe made of every case, kept in golden/, so tests need no oracle.

    python tests/oracle/golden.py            check that the files belong to today's cases
    python tests/oracle/golden.py --write    run BVLC Caffe and write them anew
                                             [--types A,B] [--root DIR]

One file per family. Each result is stored under a hash of its case: change a case, and the old
result is stale instead of wrong.
"""

import argparse
import hashlib
import json
import os
import sys

import cases
import numpy as np
from compare import check_array
from root import OracleMissing, default_root
from sides import HERE, Bvlc, Result, run_cases

FOLDER = os.path.join(HERE, "golden")
REFRESH = "run `python tests/oracle/golden.py --write` (needs the oracle: tests/oracle/build.py)"


def case_hash(case):
    """A hash of everything that decides a case's result."""
    # A Python layer's source is part of its case, too.
    content = json.dumps(case, sort_keys=True)
    if "python_layers" in content:
        with open(os.path.join(HERE, "python_layers.py")) as stream:
            content += stream.read()
    return hashlib.sha256(content.encode()).hexdigest()[:20]


def path_of(family):
    return os.path.join(FOLDER, family + ".npz")


def store(family, found):
    """Write {hash: Result} as one flat array of values and an index of keys, shapes and places."""
    index, values, place = {}, [], 0
    for key, result in found.items():
        entries = []
        for name, array in result.arrays.items():
            entries.append([name, list(array.shape), place])
            values.append(array.ravel())
            place += array.size
        index[key] = {"engine": result.engine, "status": result.status, "arrays": entries}
    os.makedirs(FOLDER, exist_ok=True)
    with open(path_of(family) + ".part", "wb") as stream:
        np.savez_compressed(
            stream,
            index=np.frombuffer(json.dumps(index).encode(), np.uint8),
            values=np.concatenate(values).astype(np.float32),
        )
    os.rename(path_of(family) + ".part", path_of(family))


def load(family):
    """{hash: Result} of one family; empty when it was never written."""
    if not os.path.exists(path_of(family)):
        return {}
    with np.load(path_of(family)) as stored:
        index, values = json.loads(stored["index"].tobytes().decode()), stored["values"]
    found = {}
    for key, entry in index.items():
        arrays = {}
        for name, shape, place in entry["arrays"]:
            count = int(np.prod(shape, dtype=int))
            arrays[name] = values[place : place + count].reshape(shape)
        found[key] = Result(entry["engine"], entry["status"], arrays)
    return found


def expected(kind):
    """[(case, Result or None)] of one type; None where the stored result is missing or stale."""
    family = next(name for name, module in cases.FAMILIES.items() if kind in module.TYPES)
    stored = load(family)
    return [(case, stored.get(case_hash(case))) for case in cases.of_type(kind)]


def worthless(case, result):
    """Why a result cannot serve as a golden one: failed, empty, NaN or all zero. None if it can."""
    if result.status != "ok":
        return result.status
    if not result.arrays:
        return "nothing recorded"
    for key, array in result.arrays.items():
        problem = check_array(case, key, array, array)
        if problem:
            return f"{key}: {problem}"
    return None


def write(kinds, root):
    """Run BVLC Caffe on the families that hold `kinds`; refuse to store anything worthless."""
    bad = 0
    for family, module in cases.FAMILIES.items():
        wanted = [kind for kind in module.TYPES if not kinds or kind in kinds]
        if not wanted:
            continue
        selected = cases.select(list(module.TYPES))
        results = run_cases(Bvlc(root), selected)
        for case, result in zip(selected, results):
            if not result.engine.startswith("BVLC Caffe"):
                raise RuntimeError("golden results must come from BVLC Caffe, not " + result.engine)
            reason = worthless(case, result)
            if reason:
                bad += 1
                print("{}: {}".format(case["name"], reason))
        store(family, {case_hash(c): r for c, r in zip(selected, results)})
        size = os.path.getsize(path_of(family))
        print(f"{family:<14} {len(selected):>4} cases {size / 1024:>8.1f} KB")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="run BVLC Caffe and store its results")
    parser.add_argument("--types", help="comma-separated types; their families are written")
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.write:
        try:
            kinds = arguments.types.split(",") if arguments.types else None
            sys.exit(1 if write(kinds, arguments.root) else 0)
        except OracleMissing as error:
            sys.exit(f"oracle: {error}")
    stale = [c["name"] for kind in cases.types() for c, r in expected(kind) if r is None]
    if stale:
        sys.exit(f"{len(stale)} golden results are stale, {stale[0]} first: {REFRESH}")
    print("all golden results belong to their cases")


if __name__ == "__main__":
    main()
