"""The tests of everything outside src/caffe, run on real BVLC Caffe inside the oracle's root.

    python tests/oracle/fcn_tests.py [--root DIR]

Prints which engine ran each part. The exit status is 1 when a test fails, when a part ran on
another engine, or when a test file of the tree is in no part. Tests of CamVid and of the VOC sample
run where FCN_DATA (default: shared/data beside the checkout) holds them.
"""

import argparse
import glob
import os
import re
import subprocess
import sys

import enter
import rows
from root import CHECKOUT, OracleMissing, check_complete, default_root

RUNNER = "tests/oracle/pytest_runner.py"
# Each part: arguments of pytest, the tests it runs. tests/conftest.py is left out, for it sets up
# the engine; some folders have a conftest.py of their own.
PARTS = (
    (("--confcutdir=tests/fcn",), ("tests/fcn",)),
    (("--confcutdir=tests/papers",), ("tests/papers",)),
    (
        ("--noconftest",),
        (
            "tests/nets",
            "tests/test_bootstrap.py",
            "tests/test_import_graph.py",
            "tests/test_mtcnn.py",
            "tests/test_score.py",
            "tests/test_score_cityscapes.py",
            "tests/test_surgery.py",
            "tests/test_vis.py",
        ),
    ),
    (("--confcutdir=tests/layers",), ("tests/layers",)),
    (("--confcutdir=tests/data",), ("tests/data",)),
    (
        ("--noconftest",),
        ("tests/docker", "tests/test_shipped_weights.py"),
    ),
)
# The tests of the engine, the oracle, the package, and of the pages, which show this engine.
ELSEWHERE = (
    "tests/benchmarks",
    "tests/caffe",
    "tests/docs",
    "tests/fuzz",
    "tests/oracle",
    "tests/test_faster_rcnn.py",
    "tests/test_fork_layers.py",
    "tests/test_names_of_tests.py",
    "tests/test_package.py",
    "tests/test_pretend_device.py",
    "tests/test_published_exports.py",
    "tests/test_ssd.py",
    "tests/test_ssd_nets.py",
    "tests/test_start_up.py",
)


def forgotten():
    """Test files that neither run here nor belong to the engine."""
    known = ELSEWHERE + tuple(name for _, names in PARTS for name in names)
    found = glob.glob(os.path.join(CHECKOUT, "tests", "**", "test_*.py"), recursive=True)
    found = [os.path.relpath(path, CHECKOUT).replace(os.sep, "/") for path in found]
    return sorted(
        path
        for path in found
        if not any(path == name or path.startswith(name + "/") for name in known)
    )


def run(root, script, arguments):
    """Exit status and output of a script of the checkout inside `root`."""
    data = os.environ.get("FCN_DATA") or os.path.join(CHECKOUT, os.pardir, "shared", "data")
    binds = [data] if os.path.isdir(data) else []
    command = enter.command_line(root, os.path.join(CHECKOUT, script), arguments, binds)
    env = dict(enter.environment(), FCN_DATA=os.path.realpath(data))
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode(errors="replace").strip().splitlines() or [""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    root = parser.parse_args().root
    os.chdir(CHECKOUT)  # what enter.py shows inside, and works in
    bad = [f"{path} is run by no part: add it to PARTS" for path in forgotten()]
    for options, tests in PARTS:
        try:
            check_complete(root)
            status, lines = run(root, RUNNER, ["-rs", *options, *tests])
        except OracleMissing as error:
            sys.exit(f"oracle: nothing was tested: {error}")
        title = f"{', '.join(name[len('tests/') :] for name in tests)} {lines[0]}"
        if status != 0:
            print("\n".join(lines))
            bad.append(f"{title}: failed with status {status}")
        elif not lines[0].startswith("on BVLC Caffe"):
            bad.append(f"{title}: expected BVLC Caffe")
        else:
            notes = [line for line in lines if line.startswith("SKIPPED")]
            print("\n".join([f"{title}: {lines[-1]}", *notes]), flush=True)
            passed = re.search(r"(\d+) passed", lines[-1])
            rows.add(
                "FCN",
                "tests of " + ", ".join(tests),
                passed.group(1) if passed else 0,
                0,
                note=lines[0],
            )
    print("\n".join(bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
