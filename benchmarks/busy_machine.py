"""Time forward passes, idle and beside two busy processes: OpenMP's way of waiting and ours.

    python benchmarks/busy_machine.py [--rounds 3] [--seconds 1] [--write]

How threads wait for each other (src/caffe/_waiting.py) decides what other programs cost. Each net
is timed in four situations: idle or busy, with OpenMP's own waiting or with ours. Every situation
has a process of its own, and within a round they take turns; the figure is the median pass of the
best round. The busy processes count in Python. On a machine that others use as well, start it as
`nice -n -20 python benchmarks/busy_machine.py`: all measured processes inherit the priority.

--write adds benchmarks/results/DATE-busy-machine.md.
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

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
MAKE = os.path.join(CHECKOUT, "nets", "classifiers.py")
NETS = ("lenet", "cifar10-full", "mobilenet1")
OURS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "300"}
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
        random = np.random.RandomState(0)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0.01 * random.standard_normal(blob.data.shape)
        picture = random.rand(*net.blobs["data"].data.shape).astype(np.float32)
        times, end = [], time.monotonic() + seconds
        while len(times) < 7 or time.monotonic() < end:
            net.blobs["data"].data[...] = picture
            start = time.perf_counter()
            net.forward()
            times.append(time.perf_counter() - start)
        print(1e3 * statistics.median(times[2:]))


def measure(busy, setting, seconds, files):
    """{net: milliseconds} of one process beside ``busy`` others."""
    counting = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(counting) for _ in range(busy)]
    try:
        names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
        env = {name: value for name, value in os.environ.items() if name not in names}
        env.update(setting, GLOG_minloglevel="2", PYTHONPATH=os.path.join(CHECKOUT, "src"))
        command = [sys.executable, __file__, "--child", str(seconds), *files]
        printed = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return [float(line) for line in printed.stdout.split()]


def table(rounds, seconds):
    """The figures as a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, f"{net}.prototxt") for net in NETS]
        for net, file in zip(NETS, files):
            make = [sys.executable, MAKE, net, "--form", "deploy", "--out", file]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        taken = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, (busy, setting) in WAYS.items():
                taken[way].append(measure(busy, setting, seconds, files))
    best = {way: [min(times) for times in zip(*runs)] for way, runs in taken.items()}
    lines = [f"| net | {' | '.join(WAYS)} | busy / idle |", "|---" * (len(WAYS) + 2) + "|"]
    for number, net in enumerate(NETS):
        figures = [best[way][number] for way in WAYS]
        ratio = best["busy"][number] / best["idle"][number]
        lines.append(f"| {net} | {' | '.join(f'{f:.2f}' for f in figures)} | {ratio:.1f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="for each net, default: 1")
    parser.add_argument("--write", action="store_true", help="add a file to benchmarks/results")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(float(options.child[0]), options.child[1:])
        return
    text = table(options.rounds, options.seconds)
    print(text)
    if options.write:
        today = datetime.date.today().isoformat()
        path = os.path.join(HERE, "results", f"{today}-busy-machine.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"# Forward passes beside two busy processes, {today}\n\n"
                f"Milliseconds of the median forward pass, best of {options.rounds} rounds, "
                f"{os.cpu_count()} processors, Python {platform.python_version()}. "
                "Made by `nice -n -20 python benchmarks/busy_machine.py --write`.\n\n"
                f"{text}\n"
            )


if __name__ == "__main__":
    main()
