"""FCN-8s at 500×500, batch 1: forward and training step, against plain PyTorch in the same run.

The programs are processes of their own and take turns; their pictures change before each pass; a
time is the wall clock from one synchronisation to the next. "fed" starts from a picture in the
host's memory (pinned, for PyTorch), "resident" from one on the card. The fastest of PyTorch's
variants counts: NCHW or channels_last, upsampling by channel or dense, SGD foreach or fused, always
with cuDNN's search; bf16 under autocast.
"""

import os
import statistics
import tempfile

import numpy as np

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, relative_error
from gpu_sections.rival import Rival
from gpu_sections.timing import kernels, times_of

#: precision -> least share of PyTorch's time to ours: (forward, step); None: told, not judged.
TARGETS = {"tf32": (1.5, 1.5), "bf16": (1.5, 1.5), "fp32": (None, 1.05)}
AGREE = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}  # of the norm of the scores
LAYOUTS = ("NCHW", "channels_last")
KINDS = ("forward", "step")
ROUNDS, CALLS, WARM = 5, 10, 10
TRIALS = 4


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision", "precision"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for precision in list(TARGETS)[record.part :: record.parts]:
            with record.step(precision):
                Contest(record, machine, folder, precision).run()


class Ours:
    """The engine: a TEST net and a solver with the same weights."""

    def __init__(self, folder, height, width, share):
        self.net = fcn8s.deploy_net(height, width, folder, share)
        weights = fcn8s.random_weights(self.net)
        fcn8s.set_weights(self.net, weights)
        self.solver = fcn8s.solver(fcn8s.train_param(height, width, share), folder)
        fcn8s.set_weights(self.solver.net, weights)
        self.images, self.labels = fcn8s.pictures(height, width)
        self.last = len(self.net.layers) - 1

    def feed(self, kind, number):
        net = self.net if kind == "forward" else self.solver.net
        net.blobs["data"].data[...] = self.images[number % 2]
        if kind == "step":
            net.blobs["label"].data[...] = self.labels[number % 2]
        return ()

    def forward(self):
        self.net._forward(0, self.last)  # forward() would fetch the scores from the card

    def step(self):
        self.solver.step(1)


class Contest:
    """Both programs in one precision, and the measurements."""

    def __init__(self, record, machine, folder, precision):
        self.record, self.machine, self.folder = record, machine, folder
        self.precision = precision
        quick = record.options.quick
        size = (40, 48, 64) if quick else (500, 500, 1)
        self.rounds, self.calls, self.warm = (1, 1, 8) if quick else (ROUNDS, CALLS, WARM)
        self.ways = (True,) if quick else (True, False)  # fed, resident
        self.trials = 1 if quick else TRIALS
        self.rival = Rival(record.options.device, precision, *size)  # starts meanwhile
        caffe.set_precision(precision)
        self.ours = Ours(folder, *size)

    def run(self):
        self.agree()
        for kind in KINDS:
            variants = self.rival.ask("choose", kind=kind, trials=self.trials)
            for fed in self.ways:
                self.tell(kind, fed, variants, *self.measure(kind, fed))
        with self.record.step(f"{self.precision}, launches"):
            self.launches()
        self.rival.close()

    def agree(self):
        """Both programs' scores, before anything is timed or trained."""
        self.ours.feed("forward", 0)
        for _ in range(self.warm):  # the last ones from a graph
            scores = self.ours.net.forward()["score"].copy()
        path = os.path.join(self.folder, self.precision + ".npy")
        self.rival.ask("scores", path=path)
        for layout, expected in zip(LAYOUTS, np.load(path)):
            error = relative_error(expected, scores)
            self.record.check(
                f"{self.precision}: scores like PyTorch's, {layout}",
                error <= AGREE[self.precision],
                f"{error:.1e} of the norm",
            )

    def measure(self, kind, fed):
        """({program: milliseconds of each call}, the same until the engine's calls returned)."""
        times, returned = {name: [] for name in ("engine",) + LAYOUTS}, []
        if not fed:
            self.ours.feed(kind, 0)
        for number in range(self.rounds):
            done, issued = times_of(
                getattr(self.ours, kind),
                lambda n: self.ours.feed(kind, n) if fed else (),
                self.machine.synchronize,
                self.calls,
                2 if number else 4 if self.record.options.quick else self.warm,
            )
            times["engine"] += done
            returned += issued
            for layout in LAYOUTS:
                request = {"layout": layout, "kind": kind, "fed": fed, "calls": self.calls}
                times[layout] += self.rival.ask("turn", warm=2, **request)
        milliseconds = {name: [s * 1e3 for s in found] for name, found in times.items()}
        return milliseconds, [s * 1e3 for s in returned]

    def tell(self, kind, fed, variants, times, returned):
        medians = {name: statistics.median(found) for name, found in times.items()}
        mine = medians.pop("engine")
        rival = min(medians, key=medians.get)
        ratio, host = medians[rival] / mine, statistics.median(returned)
        tenth = sorted(times["engine"])[len(times["engine"]) // 10]
        text = (
            f"{ratio:.2f}×: {mine:.2f} ms (tenth {tenth:.2f}, host {host:.2f}) against "
            f"{medians[rival]:.2f} ({variants[rival]})"
        )
        name = f"{self.precision} {kind}, {'fed' if fed else 'resident'}"
        self.record.fact(name, dict(medians, engine=mine, ratio=ratio, host=host))
        target = TARGETS[self.precision][KINDS.index(kind)]
        if target and fed and self.machine.real:
            self.record.check(name, ratio >= target, f"{text}, target {target}×")
        else:
            self.record.report(name, text)

    def launches(self):
        if not self.machine.real:
            self.record.left_out(f"{self.precision}, launches", "a GPU's profiler counts them")
            return
        for kind in KINDS:
            self.tell_kernels(f"{kind}, engine", *kernels(getattr(self.ours, kind)))
            for layout in LAYOUTS:
                found = self.rival.ask("launches", layout=layout, kind=kind)
                self.tell_kernels(f"{kind}, PyTorch, {layout}", *found)

    def tell_kernels(self, what, counts, costliest):
        self.record.report(f"{self.precision} {what}: launches", counts)
        self.record.report(f"{self.precision} {what}: kernels by time", costliest)
