"""Where a forward pass of the engine spends its time on the CPU: a table of layer kinds.

    python benchmarks/where_time_goes.py NET… [--seconds 4] [--layers]

Nets: those of nets_speed.py. One thread, and the thread's own time. Each layer, or group of layers
that runs as one call, counts with its least time over all passes. --layers prints every one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "src"))

import caffe  # noqa: E402


def measure(folder, seconds):
    """(rows of (first layer, kind, milliseconds), milliseconds of the best pass)."""
    files = [os.path.join(folder, name) for name in ("deploy.prototxt", "weights.caffemodel")]
    net = caffe.Net(*files, caffe.TEST)
    images = np.load(os.path.join(folder, "inputs.npy"))
    passes, best, clock = net._passes, {}, time.thread_time

    def timed(run, span):
        def call(*args):
            start = clock()
            result = run(*args)
            took, key = clock() - start, span(result, *args)
            if key is not None:
                best[key] = min(took, best.get(key, took))
            return result

        return call

    passes.plan.forward_group = timed(
        passes.plan.forward_group, lambda end, k, last: (k, end) if end != k else None
    )
    for k, step in enumerate(passes._steps):
        step.forward = timed(step.forward, lambda loss, *args, k=k: (k, k + 1))
    whole, end, count = 1e9, time.perf_counter() + seconds, 0
    while count < 5 or time.perf_counter() < end:
        start = clock()
        net.forward(**{net.inputs[0]: images[count % 2]})
        whole, count = min(whole, clock() - start), count + 1
    rows = []
    for (first, after), took in sorted(best.items()):
        layer = net.layers[first]
        kind = layer.type
        if kind == "Convolution":
            sizes = "x".join(str(n) for n in layer.kernel)
            kind = f"{'grouped ' if layer.group > 1 else ''}{sizes} {kind}"
        kind += " and what follows" if after > first + 1 else ""
        rows.append((net._layer_names[first], kind, took * 1e3))
    return rows, whole * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="+", metavar="NET", help="of nets_speed.py")
    parser.add_argument("--seconds", type=float, default=4, help="for each net; default: 4")
    parser.add_argument("--layers", action="store_true", help="print every layer too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        made = [sys.executable, os.path.join(HERE, "nets_made.py"), work, *options.nets]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        for name in options.nets:
            rows, whole = measure(os.path.join(work, name), options.seconds)
            if options.layers:
                for layer, kind, took in rows:
                    print(f"{layer}: {kind}, {took:.3f} ms")
            kinds, counts = defaultdict(float), defaultdict(int)
            for _, kind, took in rows:
                kinds[kind] += took
                counts[kind] += 1
            print(
                f"\n{name}: best pass {whole:.2f} ms\n\n"
                "| kind | number | ms | share |\n|---|---|---|---|"
            )
            for kind in sorted(kinds, key=kinds.get, reverse=True):
                share = kinds[kind] / whole
                print(f"| {kind} | {counts[kind]} | {kinds[kind]:.2f} | {share:.0%} |")
            rest = whole - sum(kinds.values())
            print(f"| between layers, input and output | | {rest:.2f} | {rest / whole:.0%} |")


if __name__ == "__main__":
    main()
