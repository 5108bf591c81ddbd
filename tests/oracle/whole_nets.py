"""Compare whole nets with BVLC Caffe: every blob, the input's diff and all parameter diffs, and
what BatchNorm measured. Nets with trained weights beside them run with these.

    python tests/oracle/whole_nets.py [--root DIR] [--nets voc-fcn8s,voc-fcn4s-lite0]
                                      [--size 160x200] [--list]

Each array must agree within 1e-3 of its largest value.

Among millions of activations a few lie so near to zero, or to their neighbour in a pooling window,
that rounding decides their sign or who wins, and with it which way a gradient goes; in the constant
border that pad 100 makes such ties are the rule. So the engine's forward pass is compared, and its
backward pass then starts from BVLC Caffe's activations, which leaves nothing to chance. How many
signs rounding had decided is printed.
"""

import argparse
import json
import os
import sys
import tempfile

import numpy as np
import rows
from root import CHECKOUT, OracleMissing, default_root
from sides import HERE, Bvlc, Engine

RUNNER = os.path.join(HERE, "whole_net_runner.py")
NETS = "voc-fcn8s,voc-fcn-alexnet,voc-fcn4s-lite0,camvid-fcn4s-lite0"
TOLERANCE = 1e-3


def run(side, prototxt, size, out, *reference):
    """Run one side; returns its index (see whole_net_runner.py)."""
    os.makedirs(out)
    arguments = [prototxt, out, *size, *reference]
    done = side.run(RUNNER, arguments, binds=[out], capture_output=True)
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{side.title} failed on {prototxt}:\n{log[-3000:]}")
    with open(os.path.join(out, "index.json")) as stream:
        return json.load(stream)


def check(a, b):
    """(largest difference as a share of the largest value, problem or None)."""
    if a.shape != b.shape:
        return np.inf, f"shape {a.shape} expected, {b.shape} found"
    largest = float(np.abs(a).max()) if a.size else 0.0
    if largest == 0:
        return np.inf, "all zero, so the comparison says nothing"
    share = float(np.abs(a - b).max()) / largest
    if not share <= TOLERANCE:  # also when NaN
        return np.inf if np.isnan(share) else share, f"differs by {share:.3g} of the maximum"
    return share, None


def compare(prototxt, size, root, work, list_all):
    """Number of arrays that disagree."""
    folders = [os.path.join(work, name) for name in ("expected", "found")]
    expected = run(Bvlc(root), prototxt, size, folders[0])
    found = run(Engine(), prototxt, size, folders[1], folders[0])
    print(f"{os.path.relpath(prototxt, CHECKOUT)} on {size[0]}×{size[1]}")
    print(f"expected by: {expected['engine']}\nfound by:    {found['engine']}")
    if expected["engine"] == found["engine"]:
        raise RuntimeError("both sides were produced by " + expected["engine"])
    if expected["arrays"] != found["arrays"]:
        raise RuntimeError("the two sides recorded different arrays")
    worst, bad, signs = (0.0, "nothing"), 0, 0
    for number, key in enumerate(expected["arrays"]):
        a, b = (np.load(os.path.join(f, f"{number:03d}.npy"), mmap_mode="r") for f in folders)
        share, problem = check(a, b)
        worst = max(worst, (share, key))
        if key.startswith("data of blob"):
            signs += int(np.count_nonzero((a > 0) != (b > 0)))
        bad += problem is not None
        if problem or list_all:
            print(f"  {key}: {problem or format(share, '.2g')}")
    count = len(expected["arrays"])
    print(
        f"{bad} of {count} arrays differ; largest share of the maximum: {worst[0]:.2g} "
        f"({worst[1]}), allowed {TOLERANCE:g}; signs decided by rounding: {signs}"
    )
    rows.add(
        "Nets",
        os.path.relpath(os.path.dirname(prototxt), CHECKOUT),
        count,
        bad,
        worst[0] / TOLERANCE,
        "every blob, the input's diff, every parameter's diff",
    )
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--nets", default=NETS, help="folders of nets/; default: %(default)s")
    parser.add_argument("--size", default="160x200", help="height x width; default: %(default)s")
    parser.add_argument("--list", action="store_true", help="print every array's difference")
    arguments = parser.parse_args()
    size = [int(n) for n in arguments.size.split("x")]
    bad = 0
    for name in arguments.nets.split(","):
        prototxt = os.path.join(CHECKOUT, "nets", name, "train.prototxt")
        with tempfile.TemporaryDirectory(prefix="whole-net-") as work:
            try:
                bad += compare(prototxt, size, arguments.root, work, arguments.list)
            except OracleMissing as error:
                sys.exit(f"oracle: nothing was compared: {error}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
