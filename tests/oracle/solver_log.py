"""The log of training by `caffe train`, line by line, under BVLC Caffe and under the engine.

    python tests/oracle/solver_log.py [--root DIR] [--only TEXT] [--write]

Every scenario is a folder of files and some command lines that both programs run in it; what they
print is compared after time stamps, thread numbers, durations and line numbers of sources are taken
out. With --write BVLC Caffe's lines are stored in golden/solver_log.json, for the ordinary tests.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import enter
import rows
from log_scenarios import SCENARIOS, SKIP
from logs import differences, normalise
from root import CHECKOUT, OracleMissing, check_complete, default_root

# Kept for the ordinary tests: without the echoed prototxts, which fill most of a log.
KEPT = (
    "tests, snapshots, display",
    "average_loss, iter_size",
    "a rich net",
    "several test nets",
    "debug_info",
    "multistep",
)
GOLDEN = os.path.join(CHECKOUT, "tests", "oracle", "golden", "solver_log.json")


def excerpt(lines):
    """The log's own lines."""
    return [line for line in lines if line[:2] in ("I ", "W ", "E ", "F ")]


def engine_command(words):
    """`words` begins with "caffe"."""
    return [sys.executable, "-m"] + list(words)


def run(scenario, folder, wrap, env):
    """(log lines, exit statuses) of a scenario's commands, run in `folder`."""
    for name, text in scenario["files"].items():
        with open(os.path.join(folder, name), "w") as stream:
            stream.write(text)
    log, codes = "", []
    for words in scenario["commands"]:
        done = subprocess.run(
            wrap(words), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        log += done.stdout.decode(errors="replace")
        codes.append(done.returncode)
    return normalise(log, SKIP), codes


def run_engine(scenario):
    with tempfile.TemporaryDirectory(prefix="log-") as folder:
        env = dict(os.environ, PYTHONPATH=os.path.join(CHECKOUT, "src"), GLOG_minloglevel="0")
        env.setdefault("OMP_NUM_THREADS", "1")
        return run(scenario, folder, engine_command, env)


def run_bvlc(scenario, root):
    with tempfile.TemporaryDirectory(prefix="log-") as folder:
        env = dict(enter.environment(), GLOG_minloglevel="0")
        return run(scenario, folder, lambda words: enter.inside(root, words, [folder], folder), env)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--only", default="", help="scenarios whose name holds this text")
    parser.add_argument("--write", action="store_true", help="store BVLC Caffe's lines")
    given = parser.parse_args()
    try:
        check_complete(given.root)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    bad, golden = 0, {}
    for name, scenario in SCENARIOS.items():
        if given.only not in name:
            continue
        theirs, codes = run_bvlc(scenario, given.root)
        if name in KEPT:
            golden[name] = excerpt(theirs)
        ours, own_codes = run_engine(scenario)
        problems = differences(ours, theirs)
        if codes != own_codes:
            problems.append(f"exit statuses {own_codes}, BVLC Caffe's {codes}")
        if len(theirs) < 20:
            problems.append("BVLC Caffe printed next to nothing: " + " | ".join(theirs))
        rows.add("Logs", f"caffe train: {name}", len(theirs), len(problems), None, "lines")
        print(f"{name}: {len(theirs)} lines" + (", agree" if not problems else ""))
        print("\n".join(problems), end="\n" if problems else "")
        bad += bool(problems)
    if given.write and not given.only:
        with open(GOLDEN, "w") as stream:
            json.dump(golden, stream, indent=0)
            stream.write("\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
