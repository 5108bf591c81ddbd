"""FCN-8s at 500×500, batch 1: forward and training step, against plain PyTorch in the same run.

The programs take turns, their pictures change before each pass, and a time is the wall clock from
one synchronisation to the next. "fed" starts from a picture in the host's memory, "resident" from
one on the card. The faster of PyTorch's variants counts: NCHW or channels_last, upsampling by
channel or dense, SGD foreach or fused, cuDNN's search on; under bf16 autocast.
"""

import contextlib
import statistics
import tempfile
import time

import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, relative_error
from gpu_sections.peer import Peer, optimizers

#: precision -> least share of PyTorch's time to ours: (forward, step); None: told, not judged.
TARGETS = {"tf32": (1.5, 1.5), "bf16": (1.5, 1.5), "fp32": (None, 1.05)}
AGREE = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}  # of the norm of the scores
ROUNDS, CALLS, WARM = 5, 10, 10
TRIALS = 4


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision", "precision"):
        return
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(record, machine, folder)
        for precision in list(TARGETS)[record.part :: record.parts]:
            with record.step(precision):
                contest.run(precision)
            with record.step(f"{precision}, launches"):
                contest.launches(precision)


class Ours:
    """The engine: a TEST net and a solver with the same weights."""

    name = "engine"

    def __init__(self, folder, height, width, share, weights=None):
        self.net = fcn8s.deploy_net(height, width, folder, share)
        self.weights = weights or fcn8s.random_weights(self.net)
        fcn8s.set_weights(self.net, self.weights)
        self.solver = fcn8s.solver(fcn8s.train_param(height, width, share), folder)
        fcn8s.set_weights(self.solver.net, self.weights)
        self.last = len(self.net.layers) - 1

    def feed(self, kind, image, label):
        net = self.net if kind == "forward" else self.solver.net
        net.blobs["data"].data[...] = image
        if kind == "step":
            net.blobs["label"].data[...] = label

    def forward(self):
        self.net._forward(0, self.last)  # forward() would fetch the scores from the card

    def step(self):
        self.solver.step(1)


class Contest:
    """The programs, their inputs and the measurements."""

    def __init__(self, record, machine, folder):
        self.record, self.machine = record, machine
        quick = record.options.quick
        self.height, self.width, share = (40, 48, 32) if quick else (500, 500, 1)
        self.rounds, self.calls, self.warm = (1, 1, 8) if quick else (ROUNDS, CALLS, WARM)
        self.ways = (True,) if quick else (True, False)
        self.trials = 1 if quick else TRIALS
        self.ours = Ours(folder, self.height, self.width, share)
        self.peers = [Peer(self.ours.weights, machine.torch_device, last) for last in (False, True)]
        images, labels = fcn8s.pictures(self.height, self.width)
        self.images, self.labels = images, labels
        self.pictures = [self.pinned(torch.from_numpy(image)) for image in images]
        self.truths = [self.pinned(torch.from_numpy(x[:, 0]).byte()) for x in labels]
        self.count = 0
        self.issued = []  # seconds until a call of a program returned
        self.host = {}  # (kind, fed): milliseconds until the engine's call returned

    def pinned(self, tensor):
        return tensor.pin_memory() if self.machine.real else tensor

    def run(self, precision):
        caffe.set_precision(precision)
        for peer in self.peers:
            peer.precision = precision
        self.agree(precision)
        found = {}
        for kind in ("forward", "step"):
            self.choose(kind)
            for fed in self.ways:
                found[kind, fed] = self.measure(kind, fed)
        self.tell(precision, found)

    def agree(self, precision):
        """Both programs' scores, before anything is timed."""
        self.ours.feed("forward", self.images[0], None)
        for _ in range(8):  # the last ones from a graph
            scores = self.ours.net.forward()["score"].copy()
        for peer in self.peers:
            error = relative_error(peer.forward(self.pictures[0]).float(), scores)
            self.record.check(
                f"{precision}: scores like PyTorch's, {peer.name}",
                error <= AGREE[precision],
                f"{error:.1e} of the norm",
            )

    def choose(self, kind):
        """Each layout's best variant, by a few trials."""
        for peer in self.peers:
            peer.device_images = [peer.upload(image) for image in self.pictures]
            peer.device_labels = [label.to(peer.device) for label in self.truths]
            makers = optimizers(peer.model) if kind == "step" else {"": lambda: None}
            trials = []
            for grouped in (True, False):
                for name, make in makers.items():
                    peer.model.grouped = grouped
                    with contextlib.suppress(RuntimeError):  # fused is not on every device
                        peer.optimizer = make()
                        times = self.turn(peer, kind, True, self.trials, self.trials)
                        trials.append((statistics.median(times), grouped, name))
                    peer.optimizer = None
            _, peer.model.grouped, name = min(trials)
            peer.optimizer = makers[name]()
            up = "by channel" if peer.model.grouped else "dense"
            peer.variant = f"{peer.name}, upsampling {up}" + (f", {name}" if name else "")

    def measure(self, kind, fed):
        """{program: times in seconds}, taken in turns."""
        programs = [self.ours] + self.peers
        times = {program.name: [] for program in programs}
        for number in range(self.rounds):
            for program in programs:
                warm = self.warm if number == 0 and program is self.ours else 2
                times[program.name] += self.turn(program, kind, fed, self.calls, warm)
                if program is self.ours:
                    self.host[kind, fed] = statistics.median(self.issued[-self.calls :]) * 1e3
        return times

    def turn(self, program, kind, fed, calls, warm):
        """Times of some calls of one program, after some that do not count."""
        searched = torch.backends.cudnn.benchmark
        theirs = isinstance(program, Peer)
        if theirs:
            torch.backends.cudnn.benchmark = True
        try:
            return [self.call(program, kind, fed) for _ in range(warm + calls)][warm:]
        finally:
            if theirs:
                torch.backends.cudnn.benchmark = searched

    def call(self, program, kind, fed):
        self.count += 1
        k = self.count % 2
        if isinstance(program, Peer):
            images, labels = self.pictures, self.truths
            if not fed:
                images, labels = program.device_images, program.device_labels
            given = (images[k],) if kind == "forward" else (images[k], labels[k])
        else:
            given = ()
            if fed:
                program.feed(kind, self.images[k], self.labels[k])
        function = getattr(program, kind)
        self.machine.synchronize()
        began = time.perf_counter()
        function(*given)
        self.issued.append(time.perf_counter() - began)
        self.machine.synchronize()
        return time.perf_counter() - began

    def tell(self, precision, found):
        for (kind, fed), times in found.items():
            medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
            mine = medians.pop("engine")
            rival = min(medians, key=medians.get)
            ratio = medians[rival] / mine
            variant = next(peer.variant for peer in self.peers if peer.name == rival)
            host = self.host[kind, fed]
            spread = sorted(times["engine"])[len(times["engine"]) // 10] * 1e3
            text = (
                f"{ratio:.2f}×: {mine:.2f} ms (tenth {spread:.2f}, host {host:.2f}) "
                f"against {medians[rival]:.2f} "
                f"({variant if kind == 'step' else variant.rsplit(', f', 1)[0]})"
            )
            name = f"{precision} {kind}, {'fed' if fed else 'resident'}"
            self.record.fact(name, dict(medians, engine=mine, ratio=ratio, host=host))
            target = TARGETS[precision][0 if kind == "forward" else 1]
            if target and fed and self.machine.real:
                self.record.check(name, ratio >= target, f"{text}, target {target}×")
            else:
                self.record.report(name, text)

    def launches(self, precision):
        """Kernels and driver calls of one pass, by PyTorch's profiler."""
        if not self.machine.real:
            self.record.check("both programs ran", True)
            self.record.left_out("launches", "they are counted on a GPU alone")
            return
        from torch.profiler import ProfilerActivity, profile

        for program in [self.ours] + self.peers:
            for kind in ("forward", "step"):
                with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
                    self.call(program, kind, False)
                names = [event.name for event in found.events()]
                on_card = sum(str(e.device_type).endswith("CUDA") for e in found.events())
                calls = sum(name.startswith(("cudaLaunch", "cuLaunch")) for name in names)
                graphs = sum(name.startswith("cudaGraphLaunch") for name in names)
                self.record.report(
                    f"{precision} {kind}, launches of {program.name}",
                    f"{on_card} kernels and copies, {calls} launched one by one, {graphs} graphs",
                )
