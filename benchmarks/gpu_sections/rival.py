"""Plain PyTorch in a process of its own: what cuDNN finds out about a convolution is kept for the
process, so neither program may run in the other's.

    python -m gpu_sections.rival DEVICE PRECISION HEIGHT WIDTH SHARE

Requests are lines of JSON with the key "do", a method of Programs; each answer is a line "ANSWER "
and JSON. `Rival` is the other end.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine
from gpu_sections.peer import Peer, optimizers
from gpu_sections.timing import kernels, times_of

__all__ = ["Rival"]

ANSWER = "ANSWER "


class Programs:
    """The module in both layouts, with the engine's weights and pictures."""

    def __init__(self, device, precision, height, width, share):
        self.machine = Machine("gpu" if device == "gpu" else "cpu")
        with tempfile.TemporaryDirectory() as folder:
            weights = fcn8s.random_weights(fcn8s.deploy_net(height, width, folder, share))
        caffe.set_precision(precision)  # PyTorch's own switches
        torch.backends.cudnn.benchmark = True
        self.peers = [Peer(weights, self.machine.torch_device, last) for last in (False, True)]
        images, labels = fcn8s.pictures(height, width)
        images = [self.pinned(torch.from_numpy(image)) for image in images]
        labels = [self.pinned(torch.from_numpy(label[:, 0]).byte()) for label in labels]
        for peer in self.peers:
            peer.precision = precision
            there = [peer.upload(image) for image in images]
            truths = [label.to(peer.device) for label in labels]
            peer.inputs = {True: (images, labels), False: (there, truths)}  # by fed

    def pinned(self, tensor):
        return tensor.pin_memory() if self.machine.real else tensor

    def scores(self, path):
        """Save both layouts' scores of the first picture, 2×N×21×H×W; before any training."""
        found = [peer.forward(peer.inputs[True][0][0]).float().cpu().numpy() for peer in self.peers]
        np.save(path, np.stack(found))

    def choose(self, kind, trials):
        """Settle each layout's fastest variant, by a few trials; {layout: its description}."""
        found = {}
        for peer in self.peers:
            makers = optimizers(peer.model) if kind == "step" else {"": lambda: None}
            results = []
            for grouped in (True, False):
                for name, make in makers.items():
                    peer.model.grouped = grouped
                    with contextlib.suppress(RuntimeError):  # fused is not on every device
                        peer.optimizer = make()
                        done = self.times(peer, kind, True, trials, trials)[0]
                        results.append((sorted(done)[len(done) // 2], grouped, name))
                    peer.optimizer = None
            _, peer.model.grouped, name = min(results)
            peer.optimizer = makers[name]()
            up = "by channel" if peer.model.grouped else "dense"
            found[peer.name] = f"{peer.name}, upsampling {up}" + (f", {name}" if name else "")
        return found

    def turn(self, layout, kind, fed, calls, warm):
        """Seconds of some calls."""
        return self.times(self.peer(layout), kind, fed, calls, warm)[0]

    def launches(self, layout, kind):
        peer = self.peer(layout)
        return kernels(lambda: getattr(peer, kind)(*self.given(peer, kind, False, 0)))

    def peer(self, layout):
        return next(peer for peer in self.peers if peer.name == layout)

    def given(self, peer, kind, fed, number):
        images, labels = peer.inputs[fed]
        k = number % 2
        return (images[k],) if kind == "forward" else (images[k], labels[k])

    def times(self, peer, kind, fed, calls, warm):
        def prepare(number):
            return self.given(peer, kind, fed, number)

        return times_of(getattr(peer, kind), prepare, self.machine.synchronize, calls, warm)


class Rival:
    """The other process, as an object: `rival.ask("turn", layout="NCHW", …)`."""

    def __init__(self, device, precision, height, width, share):
        command = [sys.executable, "-m", "gpu_sections.rival", device, precision]
        self.process = subprocess.Popen(
            command + [str(n) for n in (height, width, share)],
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do, **arguments):
        """The answer to a request. Raises RuntimeError where the process has died."""
        with contextlib.suppress(BrokenPipeError):  # told below, with the exit status
            self.process.stdin.write(json.dumps(dict(arguments, do=do)) + "\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line[len(ANSWER) :])
            print(line, end="")
        raise RuntimeError(f"plain PyTorch's process ended with status {self.process.wait()}")

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def main(device, precision, *sizes):
    programs = Programs(device, precision, *(int(size) for size in sizes))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(programs, request.pop("do"))(**request)
        print(ANSWER + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
