"""kill -9 at every stage of solve.py, then --resume: the same bytes as without.

    python tests/fuzz/kill_runs.py [--step 1] [--times 20] [--chain toy-fcn32s toy-fcn16s]

Each experiment of the chain is trained on a few toy pictures, the later ones from the weights of
the one before (surgery). Whatever such a run does with a file is an event: opening one to read or
write, replacing, removing, making a folder. A process is killed at every --step-th of them, before
it happens, and at --times random moments in between; so it dies while weights are read, in
surgery, in training, in snapshots, in scoring, while the results are kept and between all these.
Then the command is given again as a user would: with --resume, or without where that says that
there is nothing to resume. In the end the weights, the best weights, the tables, the pictures and
the scores are those of a run that nobody killed. Prints how many runs were killed, and where; the
exit status is 1 if one ended otherwise.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import caffe  # noqa: E402, F401  (before the fork: all runs share what was imported)
from fcn.training import loop  # noqa: E402
from fcn.training.records import read_rows  # noqa: E402

CHAIN = ["toy-fcn32s", "toy-fcn16s"]
SETTINGS = ["--steps", "5", "--snapshot-every", "2", "--score-every", "3", "--seed", "1"]
EVENTS = {"open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


def solve(folder, experiment, *more, kill_at=None, kill_after=None):
    """Run in a process of its own; returns (status, its output, the events below its out)."""
    reading, writing = os.pipe()
    log = os.path.join(folder, "output.txt")
    pid = os.fork()
    if not pid:
        os.close(reading)
        status = 70
        try:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)
            os.chdir(folder)
            watch(os.path.join(folder, "o"), kill_at, writing)
            if kill_after:
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                signal.setitimer(signal.ITIMER_REAL, kill_after)
            places = ["--data", os.path.join(folder, "toy"), "--out", os.path.join(folder, "o")]
            status = loop.main(experiment, [*places, *SETTINGS, *more])
        finally:
            with contextlib.suppress(ValueError, OSError):
                sys.stdout.flush()
            os._exit(status)
    os.close(writing)
    with open(reading, encoding="utf-8") as stream:
        events = [line.rstrip("\n") for line in stream]
    _, status = os.waitpid(pid, 0)
    text = Path(log).read_text(errors="replace")
    return os.waitstatus_to_exitcode(status), text, events


def watch(out, kill_at, report):
    """Report every event below ``out``, and end at the one with the number ``kill_at``."""
    count = 0

    def hook(event, arguments):
        nonlocal count
        if event not in EVENTS or not arguments or not isinstance(arguments[0], (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(out):
            return
        name = re.sub(r"\.tmp-\w+", ".tmp", os.path.relpath(path, out)).replace("\n", " ")
        mode = arguments[1] if event == "open" and len(arguments) > 1 else ""
        os.write(report, f"{event}{f' {mode}' if mode else ''} {name}\n".encode())
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    sys.addaudithook(hook)


def outcome(folder, experiment):
    """{name: content} of all that a run left; without times."""
    out = Path(folder, "o")
    found = {}
    for path in sorted(out.glob(f"{experiment}*.caffemodel")):
        found[path.name] = path.read_bytes()
    lines = [json.loads(line) for line in (out / f"{experiment}.jsonl").read_text().splitlines()]
    drop = ("time", "run", "seconds")
    found["scores"] = [{k: v for k, v in line.items() if k not in drop} for line in lines]
    for path in sorted((out / experiment).rglob("*")):
        name = str(path.relative_to(out))
        if path.suffix == ".csv":
            rows = read_rows(str(path))
            found[name] = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
        elif path.suffix in (".png", ".jpg", ".caffemodel"):
            found[name] = path.read_bytes()
    return found


def finish(folder, experiment):
    """Go on as a user would after a kill; returns what went wrong, or ''."""
    status, text, _ = solve(folder, experiment, "--resume")
    if status == 1 and "nothing to resume" in text:
        status, text, _ = solve(folder, experiment)
    return "" if status == 0 else f"status {status}: {text[-500:]}"


def attempt(base, folder, experiment, whole, **kill):
    """(what the kill hit, what went wrong or '') of one killed run in a fresh copy of ``base``.

    Always in the same ``folder``: weights hold the path of the data.
    """
    shutil.copytree(base, folder)
    try:
        status, text, events = solve(folder, experiment, **kill)
        where = events[-1] if events else "before any file"
        if status == 0:
            return "after its end", ""
        if status != -signal.SIGKILL:
            return where, f"status {status}: {text[-500:]}"
        wrong = finish(folder, experiment)
        if not wrong:
            found = outcome(folder, experiment)
            differing = [k for k in {*whole, *found} if whole.get(k) != found.get(k)]
            wrong = f"differs: {', '.join(sorted(differing))}" if differing else ""
        return where, wrong
    finally:
        shutil.rmtree(folder)


def run(chain, step=1, times=20, seed=1):
    """({experiment: Counter of what was hit}, [what was wrong])"""
    draw, hits, wrong = random.Random(seed), {}, []
    with tempfile.TemporaryDirectory() as top:
        base = os.path.join(top, "base")
        os.makedirs(base)
        subprocess.check_output(
            [sys.executable, str(ROOT / "data" / "toy.py"), "--out", os.path.join(base, "toy")]
            + ["--train", "4", "--val", "2", "--size", "64x48"]
        )
        for experiment in chain:
            folder = os.path.join(top, "run")
            shutil.copytree(base, folder)
            begun = time.monotonic()
            status, text, events = solve(folder, experiment)
            seconds = time.monotonic() - begun
            if status:
                return hits, [f"{experiment} without a kill: {text[-1000:]}"]
            whole = outcome(folder, experiment)
            done = os.path.join(top, "done")
            os.replace(folder, done)
            kills = [
                {"kill_at": number} for number in range(draw.randrange(step), len(events), step)
            ]
            kills += [{"kill_after": draw.uniform(0.01, seconds)} for _ in range(times)]
            hits[experiment] = collections.Counter()
            for kill in kills:
                where, bad = attempt(base, folder, experiment, whole, **kill)
                hits[experiment][re.sub(r"\d+", "N", where)] += 1
                if bad:
                    wrong.append(f"{experiment}, {kill}, at '{where}': {bad}")
            shutil.rmtree(base)
            os.replace(done, base)
    return hits, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--step", type=int, default=1, help="kill at every so many-th event")
    parser.add_argument("--times", type=int, default=20, help="kills at random moments")
    parser.add_argument("--chain", nargs="+", default=CHAIN, metavar="EXPERIMENT")
    args = parser.parse_args()
    hits, wrong = run(args.chain, args.step, args.times)
    for experiment, where in hits.items():
        print(f"{experiment}: {sum(where.values())} kills, at {len(where)} kinds of places")
        for place, count in where.most_common():
            print(f"  {count:4d}  {place}")
    for line in wrong:
        print(line)
    print(f"{len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
