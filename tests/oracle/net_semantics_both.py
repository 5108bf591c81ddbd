"""The rules by which nets are built and run, each on a small net, under BVLC Caffe and the engine.

    python tests/oracle/net_semantics_both.py [--root DIR]

The nets and what is compared of them are in tests/caffe/golden/make_net_semantics.py, whose stored
results the ordinary tests use; here BVLC Caffe runs anew. A net that ends BVLC's process must raise
here, at the same stage. The exit status is 0 only if all agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import rows
from root import CHECKOUT, OracleMissing, default_root
from sides import Bvlc

GOLDEN = os.path.join(CHECKOUT, "tests", "caffe", "golden")
TESTS = os.path.join(CHECKOUT, "tests", "caffe", "net", "test_net_semantics.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        target = os.path.join(work, "net_semantics.json")
        try:
            done = Bvlc(arguments.root).run(
                os.path.join(GOLDEN, "make_net_semantics.py"),
                [target],
                binds=[work],
                capture_output=True,
            )
        except OracleMissing as error:
            sys.exit(f"oracle: nothing was compared: {error}")
        if done.returncode != 0:
            sys.exit("BVLC Caffe failed:\n" + done.stderr.decode(errors="replace")[-3000:])
        with open(target) as stream:
            found = json.load(stream)
        env = dict(os.environ, NET_SEMANTICS=target, GLOG_minloglevel="2")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS]
        tested = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True)
    print("expected by: " + found.pop("engine"))
    # Where pytest could not start, only stderr tells why.
    print((tested.stdout or tested.stderr)[-3000:].strip())
    failed = sum(line.startswith("FAILED") for line in tested.stdout.splitlines())
    failed = failed or int(tested.returncode != 0)
    failing = sum("fails" in result for result in found.values())
    print(f"{len(found)} nets, {failing} of which are refused; {failed} failed")
    rows.add(
        "Nets",
        "rules of nets",
        len(found),
        failed,
        note=f"states, splits, wiring, loss weights, backward, sharing; {failing} of them are "
        "nets that BVLC Caffe ends the process on and the engine raises for",
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
