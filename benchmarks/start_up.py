"""What starting costs: processor seconds of whole commands, and of building FCN-8s.

    python benchmarks/start_up.py [--rounds 7] [--before CHECKOUT] [--root DIR] [--write]

Every command is a process of its own that has run once before, so that Python's compiled files are
there; in a round each comes once. The table has the least user and system time over the rounds, and
the least time on the clock, which only counts on an idle machine. --before times another checkout
of this repository beside it. BVLC Caffe builds the net in the oracle's root where that is built.
"""

import argparse
import datetime
import os
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
from PIL import Image  # noqa: E402
from root import OracleMissing, default_root  # noqa: E402

NET = os.path.join(CHECKOUT, "nets", "voc-fcn8s", "deploy.prototxt")
BUILD = f"""
import time, caffe; caffe.Net
start = time.process_time(), time.perf_counter()
caffe.Net({NET!r}, caffe.TEST)
print("TOOK", time.process_time() - start[0], time.perf_counter() - start[1])
"""


def commands(checkout, folder):
    """(title, command line, whether it prints its own times) of what is timed in a checkout."""
    photo = os.path.join(folder, "photo.jpg")
    labels = ["--out", os.path.join(folder, "labels")]
    net = "import caffe; caffe.Net"
    return [
        ("python -c 'import caffe'", ["-c", "import caffe"], False),
        ("python -m caffe --help", ["-m", "caffe", "--help"], False),
        ("python -c 'import caffe; caffe.Net'", ["-c", net], False),
        ("python infer.py photo.jpg", [os.path.join(checkout, "infer.py"), photo, *labels], False),
        ("caffe.Net of FCN-8s", [os.path.join(folder, "build.py")], True),
    ]


def run(command, env, prints):
    """(processor seconds, seconds on the clock) of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    if prints:
        own = next(line for line in output.splitlines() if line.startswith("TOOK "))
        return tuple(float(word) for word in own.split()[1:])
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def candidates(options, folder):
    """{(title, column): (command line, environment, whether it prints its own times)}."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["GLOG_minloglevel"] = "2"
    found = {}
    checkouts = {"before": options.before, "now": CHECKOUT}
    for column, checkout in checkouts.items():
        if checkout:
            env = dict(environment, PYTHONPATH=os.path.join(checkout, "src"))
            for title, arguments, prints in commands(checkout, folder):
                found[title, column] = [sys.executable, *arguments], env, prints
    found["python -c 'import torch'", "now"] = (
        [sys.executable, "-c", "import torch"], environment, False,
    )  # fmt: skip
    try:
        inside = enter.command_line(options.root, os.path.join(folder, "build.py"), (), [folder])
        found["caffe.Net of FCN-8s", "BVLC"] = inside, enter.environment(), True
    except OracleMissing as error:
        print(f"BVLC Caffe is left out: {error}", file=sys.stderr)
    return found


def measure(options):
    """{(title, column): (least processor seconds, least seconds on the clock)}."""
    with tempfile.TemporaryDirectory(prefix="start-up-") as folder:
        pixels = np.random.RandomState(0).randint(0, 256, (12, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((500, 375), Image.BICUBIC).save(f"{folder}/photo.jpg")
        with open(f"{folder}/build.py", "w") as stream:
            stream.write(BUILD)
        found = candidates(options, folder)
        best = {}
        for number in range(options.rounds + 1):
            for key, (command, env, prints) in found.items():
                times = run(command, env, prints)
                if number:  # the first one writes Python's compiled files
                    best[key] = tuple(map(min, times, best.get(key, times)))
    return best


def report(best, options):
    columns = [c for c in ("before", "now", "BVLC") if any(c == column for _, column in best)]
    lines = [
        f"# What starting costs, {datetime.date.today().isoformat()}",
        "",
        f"Processor seconds (user and system), least of {options.rounds}; in brackets seconds on "
        "the clock.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for title in dict.fromkeys(title for title, _ in best):
        cells = [
            "{:.2f} ({:.2f})".format(*best[title, c]) if (title, c) in best else "" for c in columns
        ]
        lines.append(f"| `{title}` | " + " | ".join(cells) + " |")
    load = os.getloadavg()[0]
    lines += ["", f"- machine: {machine()}; load average {load:.1f} after the run"]
    before = " --before CHECKOUT" if options.before else ""
    lines += [f"- command: `python benchmarks/start_up.py --rounds {options.rounds}{before}`"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--before", help="another checkout, timed in turns with this one")
    parser.add_argument("--root", default=default_root(), help="oracle; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="write a dated file to results/")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: at least 1, not {options.rounds}")
    options.before = options.before and os.path.abspath(options.before)
    text = report(measure(options), options)
    print(text)
    if options.write:
        path = os.path.join(HERE, "results", f"{datetime.date.today().isoformat()}-start-up.md")
        with open(path + ".part", "w") as stream:
            stream.write(text)
        os.replace(path + ".part", path)
        print(f"written: {os.path.relpath(path, CHECKOUT)}")


if __name__ == "__main__":
    main()
