"""Training FCN-8s at 500×500 under caps on the card's memory: the K40's 12 GB, 8 GB, and 6 GB."""

import gc
import tempfile

import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has

CAPS = (12, 8)  # GB: must do
GOAL = 6  # GB: the goal for training
STEPS = 6


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision"):
        return
    for precision in ("fp32", "tf32", "bf16")[record.part :: record.parts]:
        caffe.set_precision(precision)
        for cap in CAPS + (GOAL,) if precision == "fp32" else (GOAL,):
            with record.step(f"{precision}, {cap} GB"):
                under_cap(record, machine, precision, cap)


def under_cap(record, machine, precision, cap):
    quick = record.options.quick
    height, width, share = (40, 48, 64) if quick else (500, 500, 1)
    release(machine)
    if machine.real:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap * 1e9 / total))
        torch.cuda.reset_peak_memory_stats()
    try:
        with tempfile.TemporaryDirectory() as folder:
            loss = train(folder, height, width, share)
        text = f"loss {loss:.4g}"
        if machine.real:
            text += (
                f", peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB of tensors, "
                f"{torch.cuda.max_memory_reserved() / 1e9:.2f} GB taken from the card"
            )
            record.fact(f"{precision}, {cap} GB", torch.cuda.max_memory_reserved() / 1e9)
        record.check(f"{precision}: {STEPS} steps and a score in {cap} GB", loss == loss, text)
    finally:
        release(machine)
        if machine.real:
            torch.cuda.set_per_process_memory_fraction(1.0)


def train(folder, height, width, share):
    solver = fcn8s.solver(fcn8s.train_param(height, width, share), folder)
    fcn8s.set_weights(solver.net, fcn8s.random_weights(solver.net))
    images, labels = fcn8s.pictures(height, width)
    caffe.set_random_seed(1)
    for number in range(STEPS):
        solver.net.blobs["data"].data[...] = images[number % 2]
        solver.net.blobs["label"].data[...] = labels[number % 2]
        solver.step(1)
    return float(solver.net.blobs["loss"].data)


def release(machine):
    gc.collect()
    if machine.real:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
