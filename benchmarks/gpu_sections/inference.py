"""infer.py on generated pictures: every one is labelled, as on the CPU, in how much time."""

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

from gpu_sections.machine import CHECKOUT, Machine

NET = "camvid-fcn8s"
WEIGHTS = os.path.join("nets", NET, NET + ".caffemodel")
COUNT, QUICK_COUNT = 20, 3
COMPARED = 3  # pictures that the CPU labels, too
AGREE = 0.999  # of the pixels: ties of two classes may fall either way


def run(record):
    count = QUICK_COUNT if record.options.quick else COUNT
    if not os.path.exists(os.path.join(CHECKOUT, WEIGHTS)):
        record.check("weights", False, f"{WEIGHTS} is not here")
        return
    machine = Machine(record.options.device)
    with tempfile.TemporaryDirectory() as folder:
        paths = [picture(folder, number) for number in range(count)]
        out, expected = (os.path.join(folder, name) for name in ("out", "cpu"))
        seconds = []
        for name in ("the first run", "the second run"):
            began = time.perf_counter()
            with record.step(name):
                label(record, machine, paths, out)
            seconds.append(time.perf_counter() - began)
        there = [path for path in labels_of(paths, out) if os.path.exists(path)]
        record.check("pictures labelled", len(there) == count, f"{len(there)} of {count}")
        record.report(
            "seconds with start and weights",
            " and ".join(f"{s:.2f} ({s / count * 1e3:.0f} ms a picture)" for s in seconds),
        )
        with record.step("against the CPU"):
            machine.leave()
            in_process(paths[:COMPARED], expected)
            shares = []
            for a, b in zip(labels_of(paths[:COMPARED], expected), labels_of(paths, out)):
                with Image.open(a) as first, Image.open(b) as second:
                    shares.append(float(np.mean(np.asarray(first) == np.asarray(second))))
            record.check("labels as on the CPU", min(shares) >= AGREE, f"{min(shares):.5f} equal")


def picture(folder, number):
    """A picture of soft blobs; sizes differ, as photos' do."""
    rng = np.random.RandomState(number)
    width, height = [(480, 360), (500, 375), (375, 500), (320, 240)][number % 4]
    coarse = Image.fromarray(rng.randint(0, 256, (6, 8, 3)).astype(np.uint8))
    path = os.path.join(folder, f"picture{number:02d}.jpg")
    coarse.resize((width, height), Image.BICUBIC).save(path, quality=92)
    return path


def labels_of(paths, out):
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return [os.path.join(out, stem + "_label.png") for stem in stems]


def arguments(paths, out):
    return [*paths, "--net", NET, "--weights", os.path.join(CHECKOUT, WEIGHTS), "--out", out]


def label(record, machine, paths, out):
    """As a user does it on a GPU; elsewhere in this process, whose mode is set."""
    if not machine.real:
        machine.enter()
        in_process(paths, out)
        return
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    command = [sys.executable, "infer.py", *arguments(paths, out), "--gpu", "0"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=50
    )
    print(done.stdout[-3000:], done.stderr[-3000:], flush=True)
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stderr[-600:]}")


def in_process(paths, out):
    infer = importlib.import_module("infer")
    with contextlib.redirect_stderr(sys.stdout):
        status = infer.main(arguments(paths, out))
    if status:
        raise RuntimeError(f"infer.py returned {status}")
