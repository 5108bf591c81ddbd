"""Training FCN-8s at 500×500 under caps on the card's memory: the K40's 12 GB, 8 GB, and 6 GB."""

import gc
import tempfile

import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has

#: Precision and GB: 12 and 8 must do, 6 is the goal for training.  Each in a process of its own.
CAPS = (("fp32", 12), ("fp32", 8), ("fp32", 6), ("tf32", 6), ("bf16", 6))
LEFT = 0.3  # GB of tensors that may be left when the solver is gone
STEPS = 6


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision"):
        return
    for precision, cap in CAPS[record.part :: record.parts]:
        caffe.set_precision(precision)
        with record.step(f"{precision}, {cap} GB"):
            under_cap(record, machine, precision, cap)
        if machine.real:
            release(machine)
            left = torch.cuda.memory_allocated() / 1e9
            reserved = torch.cuda.memory_reserved() / 1e9
            record.check(
                f"{precision}, {cap} GB: given back afterwards",
                left <= LEFT,
                f"{left:.2f} GB of tensors left, {reserved:.2f} GB of the card",
            )


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
