"""Where a forward pass of the engine spends its time on the CPU: a table of layer kinds, and one of
the parts of a pass whose layers run as one program.

    python benchmarks/where_time_goes.py NET… [--seconds 4] [--layers] [--operations]

Nets: those of nets_speed.py. One thread, and the thread's own time. In the first table no stretch
of layers is compiled; each layer, or group of layers that runs as one call, counts with its least
time over all passes. --layers prints every one. The second table is of the best pass with the
programs of net/compiled_step.py.  --operations adds what each operation of the native kernels'
programs takes, by the wall clock: the least of all runs on one thread, and what it took in the
fastest run on two, where an operation begins when both have ended the one before.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "src"))

import caffe  # noqa: E402
from caffe import native  # noqa: E402
from caffe.kernels import compiled, fused  # noqa: E402
from caffe.native.program import Map, Program, Window  # noqa: E402
from caffe.net import compiled_step, ends  # noqa: E402
from caffe.net.native_program import NativeProgram  # noqa: E402
from caffe.net.onednn_program import OneDnnProgram  # noqa: E402

NEVER = 1 << 30  # passes
THREADS = (1, 2)  # of --operations
PARTS = {
    "program": "the program: native kernels, or oneDNN's and PyTorch's and TorchScript's calls",
    "checks": "checks that inputs and outputs are finite",
    "step": "copies of inputs and outputs, checks of shapes and weights",
    "rest": "other layers, the caller's input, Python around",
}


def opened(folder):
    """The net, and two inputs for it."""
    files = [os.path.join(folder, name) for name in ("deploy.prototxt", "weights.caffemodel")]
    return caffe.Net(*files, caffe.TEST), np.load(os.path.join(folder, "inputs.npy"))


def measure(folder, seconds):
    """(rows of (first layer, kind, milliseconds), those of the best pass), layer by layer."""
    net, images = opened(folder)
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
        passes.plan.forward_group, lambda end, k, last, _: (k, end) if end != k else None
    )
    for k, step in enumerate(passes._steps):
        step.forward = timed(step.forward, lambda loss, *args, k=k: (k, k + 1))
    whole, end, count = 1e9, time.perf_counter() + seconds, 0
    with (
        mock.patch.object(NativeProgram, "patience", NEVER),
        mock.patch.object(OneDnnProgram, "patience", NEVER),
    ):
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


def measure_parts(folder, seconds):
    """({part: milliseconds} of the best pass with programs, that pass's milliseconds, how many
    programs it runs); no parts where the net has no programs."""
    net, images = opened(folder)
    clock, spent, calls = time.thread_time, defaultdict(float), defaultdict(int)

    def timed(part, run):
        def call(*args):
            start = clock()
            try:
                return run(*args)
            finally:
                spent[part] += clock() - start
                calls[part] += 1

        return call

    make, steps = compiled.compiled, compiled_step.CompiledStep

    def made(*args):
        program = make(*args)
        return program and timed("program", program)

    best, parts, programs, end, count = 1e9, {}, 0, time.perf_counter() + seconds, 0
    with (
        mock.patch.object(compiled, "compiled", made),
        mock.patch.object(Program, "run", timed("program", Program.run)),
        mock.patch.object(steps, "run", timed("step", steps.run)),
        mock.patch.object(steps, "again", timed("step", steps.again)),
        mock.patch.object(ends.Ends, "are_finite", timed("checks", ends.Ends.are_finite)),
        mock.patch.object(fused, "finite", timed("checks", fused.finite)),
    ):
        while count < 3 * OneDnnProgram.patience or time.perf_counter() < end:
            spent.clear(), calls.clear()
            start = clock()
            net.forward(**{net.inputs[0]: images[count % 2]})
            whole, count = clock() - start, count + 1
            if count > 2 * OneDnnProgram.patience and whole < best and calls["program"]:
                best, programs, parts = whole, calls["program"], dict(spent)
    if parts:
        parts["rest"] = best - parts["step"]
        parts["step"] -= parts["program"] + parts.get("checks", 0)
    return {part: took * 1e3 for part, took in parts.items()}, best * 1e3, programs


def described(name, given):
    """(an operation of a program in words, its multiplications), from what it was added with."""
    structures = [g._obj for g in given if hasattr(g, "_obj")]
    maps = [m for m in structures if isinstance(m, Map)]
    windows = [w for w in structures if isinstance(w, Window)]
    text, out = name.removeprefix("kernels_").replace("_", " "), maps[-1]
    each = 9 * maps[0].c if text == "winograd" else 0
    if text == "inner product":
        each = maps[0].c * maps[0].h * maps[0].w
    for w in windows:
        text += f" {w.kernel_h}x{w.kernel_w}"
        text += f", stride {w.stride_h}" if w.stride_h > 1 else ""
        text += f", {w.groups} groups" if w.groups > 1 else ""
        if name == "kernels_convolution":
            each = maps[0].c // w.groups * w.kernel_h * w.kernel_w
        elif name == "kernels_depthwise":
            each = w.kernel_h * w.kernel_w
    text += ": " + " → ".join(f"{m.c}x{m.h}x{m.w}" for m in maps)
    return text, out.n * out.c * out.h * out.w * each


def milliseconds_of_a_tick():
    ticks = native.needed().kernels_ticks
    ticks.restype = ctypes.c_int64
    before, start = ticks(), time.perf_counter()
    time.sleep(0.1)
    return (time.perf_counter() - start) * 1e3 / (ticks() - before)


def measure_operations(folder, seconds):
    """([(operation, multiplications, milliseconds with each of THREADS)], the sums) of the programs
    of a pass."""
    added, add = defaultdict(list), Program._add

    def noted(program, name, *given):
        added[program].append(described(name, given))
        add(program, name, *given)

    ran = []
    with mock.patch.object(Program, "_add", noted):
        net, images = opened(folder)
        for count in range(3 * NativeProgram.patience):
            net.forward(**{net.inputs[0]: images[count % 2]})
    run = Program.run
    with mock.patch.object(Program, "run", lambda p, *a: (ran.append(p), run(p, *a))[1]):
        net.forward(**{net.inputs[0]: images[0]})
    kernels, rows, whole = native.needed(), [], [0.0] * len(THREADS)
    for program in ran:
        operations = added[program]
        ticks, best = (ctypes.c_int64 * len(operations))(), []
        kernels.kernels_clock(program._address, ticks)
        for i, threads in enumerate(THREADS):
            found, end = [], time.perf_counter() + seconds
            while len(found) < 5 or time.perf_counter() < end:
                kernels.kernels_run(program._address, threads, program._slots)
                found.append(np.array(ticks))
            least = np.min(found, axis=0) if threads == 1 else min(found, key=np.sum)
            best.append(least * milliseconds_of_a_tick())
            whole[i] += best[-1].sum()
        kernels.kernels_clock(program._address, None)
        rows += [(*operation, took) for operation, took in zip(operations, zip(*best))]
    return rows, whole


def print_operations(rows, whole):
    columns = [f"ms, {n} thread{'s' * (n > 1)} | GFLOP/s" for n in THREADS]
    print(f"\n| operation | {' | '.join(columns)} |\n|---|{'---|---|' * len(THREADS)}")
    for text, products, times in rows:
        cells = [f"{ms:.3f} | {2e-6 * products / ms:.0f}" if products else f"{ms:.3f} | "
                 for ms in times]  # fmt: skip
        print(f"| {text} | {' | '.join(cells)} |")
    print(f"| together | {' | '.join(f'{ms:.3f} | ' for ms in whole)} |")


def print_parts(parts, best, programs):
    print(f"\nwith {programs} program{'s' * (programs > 1)}: best pass {best:.3f} ms\n")
    print("| part | ms | share |\n|---|---|---|")
    for part, title in PARTS.items():
        if part in parts:
            print(f"| {title} | {parts[part]:.3f} | {parts[part] / best:.0%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="+", metavar="NET", help="of nets_speed.py")
    parser.add_argument("--seconds", type=float, default=4, help="for each net; default: 4")
    parser.add_argument("--layers", action="store_true", help="print every layer too")
    parser.add_argument("--operations", action="store_true", help="and those of native programs")
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
            parts = measure_parts(os.path.join(work, name), options.seconds)
            if parts[0]:
                print_parts(*parts)
            else:
                print("\nno stretch of it runs as a program")
            if options.operations and native.available():
                print_operations(*measure_operations(os.path.join(work, name), options.seconds / 2))
            elif options.operations:
                print(f"\nno operations: {native.why_not()}")


if __name__ == "__main__":
    main()
