"""What images of ever-changing sizes cost in a net of many convolutions (FCN-8s on ResNet-50)."""

import statistics
import tempfile
import time

import numpy as np

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has

NET = "voc-fcn8s-resnet50"
SIZES = [(375 + 16 * k, 500 - 24 * k) for k in range(8)]
QUICK = [(48, 64), (64, 48), (56, 56)]
MOST = 0.3  # seconds for a size that has not come before; it was 1 with cuDNN's plans
PRECISIONS = ("fp32", "tf32")


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision"):
        return
    quick = record.options.quick
    sizes, share = (QUICK, 32) if quick else (SIZES, 1)
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            with record.step(precision):
                caffe.set_precision(precision)
                net = fcn8s.deploy_net(*sizes[0], folder, share, NET)
                fcn8s.set_weights(net, fcn8s.random_weights(net))
                first, again = times(net, machine, sizes)
                shape = net.blobs["score"].data.shape[2:]
                fits = shape == sizes[-1] and np.isfinite(net.blobs["score"].data).all()
                record.check(f"{precision}: scores of the last size are finite", fits, str(shape))
                text = f"{first * 1e3:.0f} ms for a new size, {again * 1e3:.0f} ms the second time"
                name = f"{precision}: a size that has not come before"
                record.fact(name, [first, again])
                if machine.real:
                    record.check(name, first <= MOST, f"{text}, at most {MOST * 1e3:.0f} wanted")
                else:
                    record.report(name, text)


def times(net, machine, sizes):
    """Medians of the first and the second pass of each size but the first, in seconds."""
    found = []
    for k, (height, width) in enumerate(sizes):
        net.blobs["data"].reshape(1, 3, height, width)
        net.blobs["data"].data[...] = np.random.RandomState(k).randn(1, 3, height, width)
        passes = []
        for _ in range(2):
            machine.synchronize()
            began = time.perf_counter()
            net.forward()
            machine.synchronize()
            passes.append(time.perf_counter() - began)
        found.append(passes)
    return [statistics.median(values) for values in zip(*found[1:])]
