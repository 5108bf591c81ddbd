"""Time forward passes, idle and beside two busy processes: OpenMP's way of waiting and ours.

    python benchmarks/busy_machine.py [--rounds 3] [--seconds 1] [--limit 170] [--write]

How threads wait for each other (src/caffe/_waiting.py) decides what other programs cost. Each net
is timed in four situations: idle or busy, with OpenMP's own waiting or with ours. Every situation
has a process of its own, and within a round they take turns; the figure is the median pass of the
best round. The busy processes count in Python. On a machine that others use as well, start it as
`nice -n -20 python benchmarks/busy_machine.py`: all measured processes inherit the priority.

No round begins that would end after --limit seconds, and a net whose passes are slow is timed for
at most three times --seconds; a process that takes more than a minute is ended, and what it had
not timed is missing ("nan"). The table says how many rounds there were. Whatever ends the script
ends the processes it started too. --write adds benchmarks/results/DATE-busy-machine.md.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "src"))
from caffe import _waiting as waiting

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
MAKE = os.path.join(CHECKOUT, "nets", "classifiers.py")
NETS = (
    "lenet",
    "cifar10-full",
    "mobilenet1",
    "squeezenet1.1",
    "mobilenet2",
    "googlenet",
    "resnet50",
)
PATIENCE = 60  # seconds for one process
OURS = waiting.SETTINGS
OPENMPS = {"GOMP_SPINCOUNT": "300000"}  # what GNU's library does where nothing is set
WAYS = {
    "idle, OpenMP's waiting": (0, OPENMPS),
    "idle": (0, OURS),
    "busy, OpenMP's waiting": (2, OPENMPS),
    "busy": (2, OURS),
}


def child(seconds, files):
    """Print the milliseconds of the median forward pass of each net."""
    import numpy as np

    import caffe

    for file in files:
        net = caffe.Net(file, caffe.TEST)
        random = np.random.default_rng(0)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = random.standard_normal(blob.data.shape, np.float32)
                blob.data[...] *= np.float32(0.01)
        picture = random.random(net.blobs["data"].data.shape, np.float32)
        times, end = [], time.monotonic() + seconds
        # Beside busy processes OpenMP's own waiting can make one pass take seconds.
        while time.monotonic() < end or len(times) < 7 and time.monotonic() < end + 2 * seconds:
            net.blobs["data"].data[...] = picture
            start = time.perf_counter()
            net.forward()
            times.append(time.perf_counter() - start)
        print(1e3 * statistics.median(times[2:] or times[-1:]), flush=True)


def measure(busy, setting, seconds, files):
    """The milliseconds of each net in one process beside ``busy`` others; NaN: no time was left."""
    counting = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(counting) for _ in range(busy)]
    try:
        names = (*waiting.SETTINGS, "OMP_NUM_THREADS")
        env = {name: value for name, value in os.environ.items() if name not in names}
        env.update(setting, GLOG_minloglevel="2", PYTHONPATH=os.path.join(CHECKOUT, "src"))
        command = [sys.executable, __file__, "--child", str(seconds), *files]
        printed = subprocess.run(
            command, env=env, check=True, stdout=subprocess.PIPE, timeout=PATIENCE
        ).stdout
    except subprocess.TimeoutExpired as late:
        printed = late.stdout or b""
    finally:
        for other in others:
            other.kill()
            other.wait()
    whole = printed[: printed.rfind(b"\n") + 1].split()
    return [float(line) for line in whole] + [float("nan")] * (len(files) - len(whole))


def table(rounds, seconds, limit):
    """The figures as a Markdown table, and the number of rounds that were done."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, f"{net}.prototxt") for net in NETS]
        for net, file in zip(NETS, files):
            make = [sys.executable, MAKE, net, "--form", "deploy", "--out", file]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        taken = {way: [] for way in WAYS}
        done, longest = 0, 0.0
        while done < rounds and time.monotonic() - begun + longest < limit:
            start = time.monotonic()
            for way, (busy, setting) in WAYS.items():
                taken[way].append(measure(busy, setting, seconds, files))
            longest = max(longest, time.monotonic() - start)
            done += 1
            print(f"round {done}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    best = {way: [_least(times) for times in zip(*runs)] for way, runs in taken.items()}
    lines = [f"| net | {' | '.join(WAYS)} | busy / idle |", "|---" * (len(WAYS) + 2) + "|"]
    for number, net in enumerate(NETS):
        figures = [best[way][number] for way in WAYS]
        ratio = best["busy"][number] / best["idle"][number]
        lines.append(f"| {net} | {' | '.join(f'{f:.2f}' for f in figures)} | {ratio:.1f} |")
    return "\n".join(lines), done


def _least(times):
    """The least of the times that are numbers."""
    return min((time for time in times if time == time), default=float("nan"))


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="for each net, default: 1")
    parser.add_argument("--limit", type=float, default=170, help="seconds for all, default: 170")
    parser.add_argument("--write", action="store_true", help="add a file to benchmarks/results")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(float(options.child[0]), options.child[1:])
        return
    text, rounds = table(options.rounds, options.seconds, options.limit)
    print(text)
    if options.write:
        today = datetime.date.today().isoformat()
        path = os.path.join(HERE, "results", f"{today}-busy-machine.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"# Forward passes beside two busy processes, {today}\n\n"
                f"Milliseconds of the median forward pass, best of {rounds} rounds, "
                f"{os.cpu_count()} processors, Python {platform.python_version()}. Ours: "
                f"{', '.join(f'{name}={value}' for name, value in OURS.items())}. "
                "Made by `nice -n -20 python benchmarks/busy_machine.py --write`.\n\n"
                f"{text}\n"
            )


if __name__ == "__main__":
    main()
