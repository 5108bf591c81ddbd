"""Snapshots resumed across the two programs, in both directions and both file formats.

    python tests/oracle/snapshots.py [--root DIR]

With each of the six solver types one program trains ten iterations and writes a snapshot after
five; the other resumes from it. The weights it starts from must be bit-equal, those it ends with
equal to 1e-4 relative.
"""

import argparse
import os
import sys
import tempfile

import numpy as np
import rows
from cases.training import small_fcn
from root import OracleMissing, default_root
from sides import HERE, Bvlc, Engine

RUNNER = os.path.join(HERE, "snapshot_runner.py")
TOLERANCE = 1e-4
RULES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


def run(side, action, folder, kind, rule):
    done = side.run(RUNNER, [action, folder, kind, rule], binds=[folder], capture_output=True)
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{side.title} could not {action} ({kind}, {rule}):\n{log[-3000:]}")
    with np.load(os.path.join(folder, action + ".npz")) as stored:
        found = {key: stored[key] for key in stored.files}
    return str(found.pop("__engine__")), found


def problems_of(expected, found):
    """What differs between the uninterrupted run and the resumed one."""
    if set(expected) != set(found):
        return ["different parameters: " + ", ".join(sorted(set(expected) ^ set(found)))]
    problems = []
    for key, a in expected.items():
        b = found[key]
        largest = float(np.abs(a).max())
        if largest == 0:
            problems.append(key + " is all zero, so the comparison says nothing")
        elif key.startswith("half/") and not np.array_equal(a, b):
            problems.append(key + " is not bit-equal after loading")
        elif not float(np.abs(a - b).max()) <= TOLERANCE * largest:
            problems.append(f"{key} differs by {np.abs(a - b).max() / largest:.3g} of its maximum")
    return problems


def exchange(writer, reader, kind, rule):
    """(the two programs' names, what differs) of one snapshot that `reader` takes from `writer`."""
    with tempfile.TemporaryDirectory(prefix="snapshots-") as folder:
        with open(os.path.join(folder, "net.prototxt"), "w") as stream:
            stream.write(small_fcn())
        names, results = zip(
            run(writer, "train", folder, kind, rule), run(reader, "resume", folder, kind, rule)
        )
    problems = problems_of(*results)
    if names[0] == names[1]:
        problems.append("both sides were produced by " + names[0])
    return names, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    sides = [Bvlc(parser.parse_args().root), Engine()]
    bad = 0
    for kind in ("BINARYPROTO", "HDF5"):
        for writer, reader in (sides, sides[::-1]):
            failed = 0
            for rule in RULES:
                try:
                    names, problems = exchange(writer, reader, kind, rule)
                except OracleMissing as error:
                    sys.exit(f"oracle: nothing was compared: {error}")
                failed += bool(problems)
                print(
                    f"{kind}, {rule}: written by {names[0]}, resumed by {names[1]}: "
                    + ("; ".join(problems) or "agrees")
                )
            rows.add(
                "File formats",
                f"caffemodel and solverstate, {kind}",
                len(RULES),
                failed,
                None,
                f"all solver types; written by {names[0]}, resumed by {names[1]}",
            )
            bad += failed
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
