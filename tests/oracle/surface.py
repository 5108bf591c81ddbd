"""Is every public name of BVLC's pycaffe here, of the same kind and with the same arguments?

    python tests/oracle/surface.py [--root DIR] [--extra]

Lists what BVLC Caffe's modules and classes hold (surface_runner.py) and what the engine lacks of
it, or has as something else; a call that BVLC's arguments allow must be allowed here. With --extra
also what the engine has on top. Exit status 1 if anything is missing.
"""

import argparse
import json
import os
import sys
import tempfile

import rows
from root import OracleMissing, default_root
from sides import HERE, Bvlc, Engine

# Names of BVLC's that are left out, and why.
ABSENT = {
    "caffe.io": {
        "resize": "scikit-image's, imported by the way",
        "skimage": "scikit-image is not used",
        "zoom": "SciPy's, imported by the way",
    },
}


def surface_of(side, folder, name):
    out = os.path.join(folder, name)
    done = side.run(
        os.path.join(HERE, "surface_runner.py"), [out], binds=[folder], capture_output=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{side.title} failed:\n" + done.stderr.decode(errors="replace")[-3000:])
    with open(out) as stream:
        found = json.load(stream)
    return found["engine"], found["surface"]


def differences(expected, found):
    """What `found`, one name's [kind, arguments], cannot do that `expected` can."""
    if found is None:
        return "is missing"
    if expected[0] != found[0]:
        return f"is a {found[0]}, expected a {expected[0]}"
    if expected[1] is None or found[1] is None:
        return ""
    for i, (name, what, default) in enumerate(expected[1]):
        mine = found[1][i] if i < len(found[1]) else None
        if mine is None or (mine[0], mine[1]) != (name, what):
            return f"takes {found[1]}, expected {expected[1]}"
        if default != mine[2]:
            return f"has {name}={mine[2]}, expected {name}={default}"
    more = [a for a in found[1][len(expected[1]) :] if not a[2] and not a[1].startswith("VAR_")]
    return f"asks for more: {more}" if more else ""


def compare(expected, found, extra):
    """Yields (module or class, names, problems, names on top)."""
    for owner, names in expected.items():
        absent = ABSENT.get(owner, {})
        have = found.get(owner, {})
        problems = [
            f"{owner}.{name} {text}"
            for name, value in sorted(names.items())
            if name not in absent
            for text in [differences(value, have.get(name))]
            if text
        ]
        yield owner, len(names), problems, sorted(set(have) - set(names)) if extra else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--extra", action="store_true", help="list what the engine has on top")
    given = parser.parse_args()
    sides = [Bvlc(given.root), Engine()]
    try:
        with tempfile.TemporaryDirectory(prefix="surface-") as folder:
            names, surfaces = zip(*(surface_of(s, folder, n) for s, n in zip(sides, ("a", "b"))))
    except (OracleMissing, RuntimeError) as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    if names[0] == names[1]:
        sys.exit(f"oracle: both sides were produced by {names[0]}")
    count, problems = 0, []
    for owner, cases, bad, more in compare(*surfaces, given.extra):
        count += cases
        problems += bad
        if more:
            print(f"{owner} has also: {', '.join(more)}")
    for problem in problems:
        print(problem)
    print(f"{count} public names of {names[0]}, {len(problems)} differ here")
    rows.add(
        "Python interface",
        "public names",
        count,
        len(problems),
        note="modules, classes and their members, with arguments",
    )
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
