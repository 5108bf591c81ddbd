"""CamVid's training net with its data layer on generated pictures: steps a second, and the share
of the time that the step waits for data."""

import os
import tempfile
import time

import numpy as np
from PIL import Image

import bootstrap  # noqa: F401 - puts the data layers on the path
import caffe
from caffe.proto import caffe_pb2
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, nets_path

NET, FOLDER = "camvid-fcn8s", "data/camvid"
PICTURES, SIZE = 48, (480, 360)
WARM, STEPS = 12, 60
ENOUGH = 100  # images a second at which a step must not wait
SHARE = 0.10  # of a step's time that data may cost below that


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    precisions = ["fp32", "bf16"] if has(record, "set_precision") else ["fp32"]
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, 8 if record.options.quick else PICTURES)
        for precision in precisions[: 1 if record.options.quick else None]:
            if len(precisions) > 1:
                caffe.set_precision(precision)
            with record.step(precision):
                measure(record, machine, folder, precision)


def generate(folder, count):
    """CamVid's layout: soft pictures and labels in blocks."""
    rng = np.random.RandomState(0)
    for name in ("train", "trainannot"):
        os.makedirs(os.path.join(folder, name))
    lines = []
    for number in range(count):
        coarse = Image.fromarray(rng.randint(0, 256, (12, 16, 3)).astype(np.uint8))
        classes = Image.fromarray(rng.randint(0, 12, (6, 8)).astype(np.uint8))
        name = f"{number:04d}.png"
        coarse.resize(SIZE, Image.BICUBIC).save(os.path.join(folder, "train", name))
        classes.resize(SIZE, Image.NEAREST).save(os.path.join(folder, "trainannot", name))
        lines.append(f"/SegNet/CamVid/train/{name} /SegNet/CamVid/trainannot/{name}\n")
    with open(os.path.join(folder, "train.txt"), "w") as stream:
        stream.writelines(lines)


def measure(record, machine, folder, precision):
    steps, warm = (4, 2) if record.options.quick else (STEPS, WARM)
    given = fcn8s.read(nets_path(NET, "train"), caffe_pb2.NetParameter())
    text = given.layer[0].python_param.param_str
    if FOLDER not in text:
        raise ValueError(f"the data layer's param_str names no {FOLDER}: {text}")
    text = text.replace(FOLDER, folder)
    if record.options.quick:
        text = text.replace("'batch_size': 8", "'batch_size': 2").replace("(240, 320)", "(96, 128)")
    given.layer[0].python_param.param_str = text
    fields = {"base_lr": 1e-3, "momentum": 0.9}
    solver = fcn8s.solver(given, folder, "data", **fields)
    batch, _, height, width = solver.net.blobs["data"].shape
    waited = Waiting(type(solver.net.layers[0]))
    with_data = seconds(machine, solver, steps, warm, waited)
    wait = waited.seconds / steps
    waited.undo()
    loss = float(solver.net.blobs["loss"].data)

    param = fcn8s.train_param(height, width, 1, NET, batch)
    bare = fcn8s.solver(param, folder, "bare", **fields)
    images, labels = fcn8s.pictures(height, width, 1, classes=11, batch=batch)
    bare.net.blobs["data"].data[...] = images[0]
    bare.net.blobs["label"].data[...] = labels[0]
    without = seconds(machine, bare, steps, warm)
    rate = batch / with_data
    share = max(0.0, 1 - without / with_data)  # whatever it is that data costs: waits, uploads
    record.fact(precision, {"step": with_data, "wait": wait, "without data": without})
    text = (
        f"{1 / with_data:.1f} steps and {rate:.0f} images a second (batch {batch}, "
        f"{height}×{width}); without data {1 / without:.1f} steps a second, so data costs "
        f"{share:.0%} of a step, {wait / with_data:.0%} in the data layer's forward; "
        f"loss {loss:.3g}"
    )
    sound = loss == loss
    if machine.real:
        name = f"{precision}: {ENOUGH} images a second, or data cost {SHARE:.0%}"
        record.check(name, sound and (rate >= ENOUGH or share <= SHARE), text)
    else:
        record.check(f"{precision}: trains", sound, text)


def seconds(machine, solver, steps, warm, waited=None):
    """Wall time of a step, over all of them; the host runs ahead as it does in training."""
    solver.step(warm)
    machine.synchronize()
    if waited:
        waited.seconds = 0.0
    began = time.perf_counter()
    solver.step(steps)
    machine.synchronize()
    return (time.perf_counter() - began) / steps


class Waiting:
    """Adds up the time that a Python layer's class spends in its forward."""

    def __init__(self, cls):
        self.cls, self.seconds, self.original = cls, 0.0, cls.forward

        def forward(layer, bottom, top):
            began = time.perf_counter()
            try:
                return self.original(layer, bottom, top)
            finally:
                self.seconds += time.perf_counter() - began

        cls.forward = forward

    def undo(self):
        self.cls.forward = self.original
