"""Time everyday nets on the CPU side by side: the engine and its peers, in one run.

    python benchmarks/nets_speed.py [--nets lenet,resnet50] [--programs engine,opencv,…]
        [--jobs forward,step] [--rounds 5] [--threads 2] [--quick] [--root DIR] [--write]

Nets: LeNet (1 and 64 items), cifar10-full, SqueezeNet 1.1, MobileNet v1 and v2, AlexNet, GoogLeNet,
ResNet-50, VGG-16, FCN-8s at 500x500, and this repository's rows. Forward: one batch in, scores out,
input copied inside the time. Step: forward, loss, backward and update of the same layers.

torch-compiled (torch.compile, forward) takes a minute or two a net to compile: it runs only where
--programs names it, with a larger --budget.

Each program runs in a process of its own, which makes 25 passes (3 seconds at most) before anything
is timed: the engine compiles a net at its 20th. Within a round they take turns, so a disturbance
hits all of them. The table has each program's best pass and the median over rounds of the best of a
round; the ratios are peer over engine, with the least and the greatest of the rounds. Scores must
agree before anything is timed. BVLC Caffe runs in the oracle's root (tests/oracle/build.py) where
it is built; a program that is not installed is left out and named.

A program gets --budget seconds for a net and a job: a next round that would go beyond is not begun,
and a peer whose pass takes longer than that is left out and named. --limit ends the run before the
next net; what is there is reported, as it is after Ctrl-C. --write writes the file anew after each
net. --quick takes 2 short rounds, a budget of 20 seconds and a limit of 460: under 9 minutes.
"""

import argparse
import datetime
import importlib.util
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(CHECKOUT, "tests", "oracle")]

import enter  # noqa: E402
import numpy as np  # noqa: E402
from fcn8s_speed import machine  # noqa: E402
from nets_made import NETS  # noqa: E402
from root import OracleMissing, default_root  # noqa: E402

TITLES = {
    "engine": "engine",
    "opencv": "OpenCV",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch": "PyTorch",
    "torch-last": "PyTorch, channels_last",
    "torch-compiled": "PyTorch, compiled",
    "bvlc": "BVLC Caffe",
}
PROGRAMS = [name for name in TITLES if name != "torch-compiled"]  # by default
MODULES = {"opencv": "cv2", "onnx": "onnxruntime", "openvino": "openvino"}
TRAINS = ("engine", "torch", "torch-last", "bvlc")
JOBS = {"forward": "Forward", "step": "Training step"}
TOLERANCE = 1e-3  # of the largest score
# How threads wait: each program's own default, not what this shell has for other purposes.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


class Program:
    """One child process that answers requests, one JSON line each; see nets_programs.py."""

    def __init__(self, name, options):
        self.name = name
        child = os.path.join(HERE, "nets_programs.py")
        arguments = [name, options.work, str(options.threads)]
        env = {name: value for name, value in os.environ.items() if name not in WAITING}
        env.update(OMP_NUM_THREADS=str(options.threads), GLOG_minloglevel="2")
        command = [sys.executable, child, *arguments]
        if name == "bvlc":
            command = enter.command_line(options.root, child, arguments, [options.work])
            env = dict(enter.environment(), OPENBLAS_NUM_THREADS=str(options.threads))
        elif name == "engine":
            env["PYTHONPATH"] = os.path.join(CHECKOUT, "src")
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
        )

    def ask(self, **request):
        """The child's answer, a dict; {"error": …} where it has ended."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line[len("ANSWER ") :])
            sys.stderr.write(line)
        return {"error": f"ended with status {self.process.wait()}"}

    def close(self, kill=False):
        """End the child; with `kill` also where it is in the middle of something."""
        if kill:
            self.process.kill()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()


def agree(programs, left_out):
    """The programs whose scores agree with the engine's; the others are told in `left_out`."""
    expected, same = None, []
    for program in programs:
        answer = program.ask(do="scores")
        if "error" in answer:
            left_out[program.name] = answer["error"]
            continue
        scores = np.load(answer["path"])
        if expected is None:
            expected = scores
            if not np.abs(scores).max() > 0:
                raise RuntimeError("the engine's scores are all zero or not a number")
        share = float(np.abs(scores.reshape(expected.shape) - expected).max())
        share /= float(np.abs(expected).max())
        if share <= TOLERANCE:
            same.append(program)
        else:
            left_out[program.name] = f"its scores differ by {share:.2g} of the largest"
    return same


def measure(net, job, programs, options):
    """({program: best seconds of each round}, {program: why it is left out})."""
    left_out, ready = {}, []
    for program in programs:
        if job == "step" and program.name not in TRAINS:
            continue
        answer = program.ask(do="load", net=net, job=job)
        if "error" in answer:
            left_out[program.name] = answer["error"]
        elif answer["first"] > options.budget and program.name != "engine":
            left_out[program.name] = f"takes {answer['first']:.0f} s for its first pass"
        else:
            options.versions[program.name] = answer["version"]
            ready.append(program)
    if job == "forward":
        ready = agree(ready, left_out)
    found = {program.name: [] for program in ready}
    spent = dict.fromkeys(found, 0.0)
    for number in range(options.rounds):
        for program in list(ready):
            name = program.name
            if number and spent[name] * (number + 1) / number > options.budget:
                ready.remove(program)
                continue
            start = time.monotonic()
            answer = program.ask(do="time", seconds=options.seconds)
            spent[name] += time.monotonic() - start
            if "error" in answer:
                left_out[name] = answer["error"]
                found.pop(name)
                ready.remove(program)
            else:
                found[name].append(min(answer["seconds"]))
    return found, left_out


def table(results, job, options):
    """Markdown lines: a row for each net, best and median of every program, and the ratios."""
    names = [n for n in options.programs if any(n in f for f in results[job].values())]
    lines = ["| ms | " + " | ".join(TITLES[n] for n in names) + " | best peer over engine |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for net, found in results[job].items():
        cells = [
            f"{min(found[n]) * 1e3:.2f} ({statistics.median(found[n]) * 1e3:.2f})"
            if found.get(n)
            else ""
            for n in names
        ]
        lines.append(f"| {net} | " + " | ".join(cells) + f" | {ratio(found)} |")
    return lines


def ratio(found):
    """The fastest peer's time over the engine's, and its range over the rounds."""
    peers = {n: times for n, times in found.items() if n != "engine" and times}
    if not peers or not found.get("engine"):
        return ""
    best = min(peers, key=lambda n: min(peers[n]))
    mine = found["engine"]
    each = [a / b for a, b in zip(peers[best], mine)]
    whole = min(peers[best]) / min(mine)
    return f"{whole:.2f} ({min(each):.2f} to {max(each):.2f}), {TITLES[best]}"


def report(results, notes, options, load_average):
    lines = [
        f"# Everyday nets on the CPU, float32, {options.threads} threads",
        "",
        f"{options.date}. Milliseconds: best pass of {options.rounds} rounds, fewer where a pass "
        "takes seconds; in brackets the median of the rounds' best. Above 1 the engine is faster.",
    ]
    for job in options.jobs:
        lines += ["", f"## {JOBS[job]}", ""] + table(results, job, options)
    lines += ["", f"- machine: {machine()}; load average {load_average[0]:.1f} before the run"]
    lines += [f"- {TITLES[n]}: {version}" for n, version in options.versions.items()]
    lines += [f"- {note}" for note in notes]
    lines += [
        "- command: `" + " ".join(["python benchmarks/nets_speed.py", *options.command]) + "`"
    ]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="default: all")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="default: %(default)s")
    parser.add_argument("--jobs", default=",".join(JOBS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--budget", type=float, help="seconds for a program, a net and a job; default: 120"
    )
    parser.add_argument("--limit", type=float, help="seconds for the whole; default: none")
    parser.add_argument("--quick", action="store_true", help="2 short rounds, under 9 minutes")
    parser.add_argument("--root", default=default_root(), help="oracle; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="write a dated file to results/")
    options = parser.parse_args()
    for field, known in (("nets", NETS), ("programs", TITLES), ("jobs", JOBS)):
        values = getattr(options, field).split(",")
        unknown = [value for value in values if value not in known]
        if unknown:
            parser.error(f"--{field}: unknown {unknown}, known: {', '.join(known)}")
        setattr(options, field, values)
    if options.rounds < 1:
        parser.error(f"--rounds: at least 1, not {options.rounds}")
    options.seconds, budget, limit = 0.15, 120.0, float("inf")
    if options.quick:
        options.rounds, options.seconds, budget, limit = 2, 0.05, 20.0, 460.0
    options.budget = budget if options.budget is None else options.budget
    options.limit = limit if options.limit is None else options.limit
    options.date = datetime.date.today().isoformat()
    options.versions = {}
    # The root's place is this machine's own business, not the reader's.
    given = [shlex.quote(a) for a in sys.argv[1:] if a != "--write"]
    options.command = ["DIR" if i and given[i - 1] == "--root" else a for i, a in enumerate(given)]
    return options


def available(options):
    """(programs that can be started, notes on the others)."""
    names, notes = [], []
    for name in options.programs:
        if name in MODULES and importlib.util.find_spec(MODULES[name]) is None:
            notes.append(f"{TITLES[name]} is not installed")
        elif name in ("onnx", "openvino") and importlib.util.find_spec("onnx") is None:
            notes.append(f"{TITLES[name]} is left out: the package onnx is not installed")
        else:
            names.append(name)
    return names, notes


def make(options):
    script = os.path.join(HERE, "nets_made.py")
    env = dict(os.environ, PYTHONPATH=os.path.join(CHECKOUT, "src"))
    subprocess.run([sys.executable, script, options.work, *options.nets], env=env, check=True)


def write(text, options):
    """The dated file in results/, whole or not at all."""
    path = os.path.join(HERE, "results", f"{options.date}-nets-speed.md")
    with open(path + ".part", "w") as stream:
        stream.write(text)
    os.replace(path + ".part", path)
    return os.path.relpath(path, CHECKOUT)


def stop(_signal, _frame):
    raise KeyboardInterrupt


def main():
    options = parse_arguments()
    end = time.monotonic() + options.limit
    load_average = os.getloadavg()
    signal.signal(signal.SIGTERM, stop)
    names, notes = available(options)
    results = {job: {} for job in options.jobs}
    pairs = [(net, job) for net in options.nets for job in options.jobs]
    done, programs, interrupted = 0, [], False
    with tempfile.TemporaryDirectory(prefix="nets-speed-") as options.work:
        make(options)
        for name in names:
            try:
                programs.append(Program(name, options))
            except OracleMissing as error:
                notes.append(f"{TITLES[name]} is left out: {error}")
        try:
            for net, job in pairs:
                if time.monotonic() > end:
                    break
                found, left_out = measure(net, job, programs, options)
                results[job][net] = found
                notes += [f"{net}, {job}: {TITLES[n]} {why}" for n, why in left_out.items()]
                shown = [f"{TITLES[n]} {min(t) * 1e3:.2f}" for n, t in found.items() if t]
                print(f"{net} {job} [ms]: " + ", ".join(shown), flush=True)
                done += 1
                if options.write:
                    write(report(results, notes, options, load_average), options)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            for program in programs:
                program.close(kill=interrupted)
    if done < len(pairs):
        why = "interrupted" if interrupted else f"{options.limit:.0f} seconds were over"
        missing = ", ".join(" ".join(pair) for pair in pairs[done:])
        notes.append(f"not measured ({why}): {missing}")
    text = report(results, notes, options, load_average)
    print("\n" + text)
    if options.write and done:
        print(f"written: {write(text, options)}")
    if interrupted:
        raise SystemExit(130)


if __name__ == "__main__":
    main()
