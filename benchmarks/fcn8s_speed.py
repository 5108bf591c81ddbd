"""Time FCN-8s side by side: the engine, BVLC Caffe and plain PyTorch, in one run.

    python benchmarks/fcn8s_speed.py [--root DIR] [--programs engine,bvlc,…] [--rounds 5]
                                     [--threads 2] [--size 500x500] [--write]

Measured: forward (TEST), a training step (forward, backward and update, TRAIN), `copy_from` of the
538 MB caffemodel, `Net(prototxt, caffemodel, TEST)`, and the peak memory of a training step. Every
program runs in processes of its own, and within a round the programs take turns, so a disturbance
hits all of them; the ratios come from each program's best round. The input changes before every
pass. Scores of all programs must agree before anything is timed.

--write adds benchmarks/results/DATE-fcn8s-speed.md. BVLC Caffe runs in the oracle's root
(tests/oracle/build.py). Needs 16 GB of memory. On a machine that others use as well, start it as
`chrt -r 1 python benchmarks/fcn8s_speed.py`: all measured processes inherit the priority.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
CHILD = os.path.join(HERE, "fcn8s_programs.py")
sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))

import enter  # noqa: E402
import numpy as np  # noqa: E402
from root import OracleMissing, default_root  # noqa: E402

PROGRAMS = {
    "engine": "engine",
    "bvlc": "BVLC Caffe",
    "torch": "PyTorch, NCHW",
    "torch-last": "PyTorch, channels_last",
}
PYTORCH = ("torch", "torch-last")
# (measure, title, unit, programs that have it)
MEASURES = (
    ("forward", "forward", "s", tuple(PROGRAMS)),
    ("step", "forward + backward + update", "s", tuple(PROGRAMS)),
    ("copy_from", "copy_from, first into a new net", "s", ("engine", "bvlc")),
    ("copy_again", "copy_from, again into the same net", "s", ("engine", "bvlc")),
    ("net_weights", "Net(prototxt, caffemodel, TEST)", "s", ("engine", "bvlc")),
    ("peak", "peak memory of training", "GB", tuple(PROGRAMS)),
)
# (measure, rivals of which the best counts, how many times less than theirs the engine must need)
TARGETS = (
    ("forward", ("bvlc",), 2.5),
    ("forward", PYTORCH, 1.0),
    ("step", ("bvlc",), 1.5),
    ("step", PYTORCH, 1.0),
    ("copy_from", ("bvlc",), 2.0),
    ("copy_again", ("bvlc",), 2.0),
    ("net_weights", ("bvlc",), 1.0),
    ("peak", ("bvlc",), 1.0),
)
ENGINES_WARM_PASSES = 7  # forward: it makes its program in the 6th
SCORE_TOLERANCE = 1e-3  # of the largest score: DESIGN.md's tolerance for whole nets


class Program:
    """One child process that answers requests, one JSON line each; see fcn8s_programs.py."""

    def __init__(self, name, job, options):
        self.name = name
        arguments = [name, job, options.work]
        env = dict(os.environ, OMP_NUM_THREADS=str(options.threads), GLOG_minloglevel="2")
        command = [sys.executable, CHILD] + arguments
        if name == "bvlc":
            command = enter.command_line(options.root, CHILD, arguments, [options.work])
            env = dict(enter.environment(), OPENBLAS_NUM_THREADS=str(options.threads))
        elif name == "engine":
            env["PYTHONPATH"] = os.path.join(CHECKOUT, "src")
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
        )

    def ask(self, request):
        """The child's answer to `request`, a dict."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the reason is in the exit status, reported below
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line[len("ANSWER ") :])
            sys.stderr.write(line)
        raise RuntimeError(
            f"{PROGRAMS[self.name]} stopped with exit status {self.process.wait()} "
            f"at {request}; its own message is above"
        )

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def once(name, job, request, options):
    with Program(name, job, options) as program:
        return program.ask(request)


def take_turns(job, options, rounds):
    """{program: seconds of each round}, after unmeasured ones; peak memory after the last."""
    running = {}
    try:
        for name in options.programs:
            running[name] = Program(name, job, options)
            for _ in range(ENGINES_WARM_PASSES if (name, job) == ("engine", "forward") else 1):
                running[name].ask({"do": job})
        seconds = {name: [] for name in running}
        for number in range(rounds):
            for name, program in running.items():
                seconds[name].append(program.ask({"do": job})["seconds"])
            show(f"{job} {number + 1}", {name: f"{s[-1]:.2f} s" for name, s in seconds.items()})
        peak = {
            name: [program.ask({"do": "peak"})["gigabytes"]] for name, program in running.items()
        }
        return seconds, peak
    finally:
        for program in running.values():
            program.close()


def loads(options, rounds):
    """{measure: {program: seconds}}; each round in fresh processes, the file in the page cache."""
    found = {}
    for number in range(rounds):
        for name in options.programs:
            if name in PYTORCH:
                continue
            answer = once(name, "load", {"do": "load"}, options)
            for measure, seconds in answer.items():
                found.setdefault(measure, {}).setdefault(name, []).append(seconds)
            show(
                f"load {number + 1}",
                {
                    name: ", ".join(
                        f"{measure} {seconds:.2f} s" for measure, seconds in answer.items()
                    )
                },
            )
    return found


def show(what, answers):
    print(
        what + ": " + ", ".join(f"{PROGRAMS[n]} {text}" for n, text in answers.items()), flush=True
    )


def compare_scores(options):
    """{program: version}; raises RuntimeError unless all programs compute the same scores."""
    versions, expected = {}, None
    for name in options.programs:
        answer = once(name, "forward", {"do": "scores"}, options)
        versions[name] = answer["version"]
        scores = np.load(answer["path"])
        if not np.abs(scores).max() > 0:
            raise RuntimeError(f"{PROGRAMS[name]}: all scores are zero or not a number")
        if expected is None:
            first, expected = name, scores
            continue
        share = float(np.abs(scores - expected).max() / np.abs(expected).max())
        print(
            f"scores of {PROGRAMS[name]} differ from those of {PROGRAMS[first]} by {share:.2g} "
            "of the maximum",
            flush=True,
        )
        if not share <= SCORE_TOLERANCE:
            raise RuntimeError(
                f"the programs do not compute the same: {share:.2g} of the maximum, "
                f"allowed {SCORE_TOLERANCE:g}"
            )
    return versions


def table(found, programs):
    """Markdown lines: one row a measure, best (median) per program."""
    lines = [
        "| | " + " | ".join(PROGRAMS[name] for name in programs) + " |",
        "|---" * (len(programs) + 1) + "|",
    ]
    for measure, title, unit, _ in MEASURES:
        cells = []
        for name in programs:
            values = found.get(measure, {}).get(name)
            cells.append(
                ""
                if not values
                else f"{min(values):.2f} {unit}"
                + (f" ({statistics.median(values):.2f})" if len(values) > 1 else "")
            )
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def verdicts(found):
    """Markdown lines: each target with the ratio reached."""
    titles = {measure: title for measure, title, _, _ in MEASURES}
    lines = []
    for measure, rivals, wanted in TARGETS:
        values = found.get(measure, {})
        others = {name: min(values[name]) for name in rivals if values.get(name)}
        if not others or not values.get("engine"):
            continue
        best = min(others, key=others.get)
        ratio = others[best] / min(values["engine"])
        word = "met" if ratio >= wanted else "MISSED"
        lines.append(
            f"- {titles[measure]}: {PROGRAMS[best]} needs {ratio:.2f} times as much as "
            f"the engine, wanted at least {wanted:g}: {word}"
        )
    return lines


def machine():
    """One line: processor, cores, memory, system."""
    with open("/proc/cpuinfo") as stream:
        models = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    with open("/proc/meminfo") as stream:
        memory = int(stream.readline().split()[1]) / 2**20
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, Linux {platform.release()}"
    )


def report(found, versions, options, load_average):
    lines = [
        f"# FCN-8s {options.size}, batch 1, float32, {options.threads} threads",
        "",
        f"{datetime.date.today().isoformat()}. Best round, median in brackets.",
        "",
    ]
    lines += table(found, options.programs) + [""] + verdicts(found)
    lines += ["", f"- machine: {machine()}; load average {load_average[0]:.1f} before the run"]
    lines += [f"- {PROGRAMS[name]}: {version}" for name, version in versions.items()]
    lines += [
        "- command: `" + " ".join(["python benchmarks/fcn8s_speed.py", *options.command]) + "`"
    ]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="oracle; default: %(default)s")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--size", default="500x500", help="height x width; default: %(default)s")
    parser.add_argument("--only", choices=("forward", "step", "load"), help="measure just this")
    parser.add_argument("--write", action="store_true", help="write a dated file to results/")
    options = parser.parse_args()
    options.programs = options.programs.split(",")
    unknown = [name for name in options.programs if name not in PROGRAMS]
    if unknown or options.rounds < 1:
        parser.error(
            f"--programs: unknown {unknown}, known: {list(PROGRAMS)}"
            if unknown
            else f"--rounds: at least 1, not {options.rounds}"
        )
    # The root's place is this machine's own business, not the reader's.
    options.command = [shlex.quote(a) for a in sys.argv[1:] if a != "--write"]
    for position, argument in enumerate(options.command):
        if argument == "--root":
            options.command[position + 1] = "DIR"
        elif argument.startswith("--root="):
            options.command[position] = "--root=DIR"
    return options


def main():
    options = parse_arguments()
    load_average = os.getloadavg()
    found = {}
    with tempfile.TemporaryDirectory(prefix="fcn8s-speed-") as options.work:
        try:
            maker = "bvlc" if "bvlc" in options.programs else "engine"
            height, width = (int(n) for n in options.size.split("x"))
            once(maker, "make", {"do": "make", "height": height, "width": width}, options)
            versions = compare_scores(options)
            if options.only in (None, "forward"):
                found["forward"], _ = take_turns("forward", options, options.rounds)
            if options.only in (None, "step"):
                found["step"], found["peak"] = take_turns("step", options, options.rounds)
            if options.only in (None, "load"):
                found.update(loads(options, options.rounds))
        except (OracleMissing, RuntimeError) as error:
            sys.exit(f"fcn8s_speed: nothing was reported: {error}")
    text = report(found, versions, options, load_average)
    print("\n" + text)
    if options.write:
        name = f"{datetime.date.today().isoformat()}-fcn8s-speed.md"
        os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
        with open(os.path.join(HERE, "results", name), "w") as stream:
            stream.write(text)
        print(f"written: benchmarks/results/{name}")


if __name__ == "__main__":
    main()
