"""A run's folder as training leaves it, made in a second and without training."""

import os
import shutil

import numpy as np
from fcn_helpers import ROOT

from data import toy
from fcn.scoring import results
from fcn.scoring.metrics import Score, fast_hist, metrics
from fcn.training.pictures import Pictures
from fcn.training.records import Records

#: Markup in a name must be shown, not obeyed.
NAMES = ["background", "disc", "square", "triangle", "<b>star & co</b>"]


class _Blob:
    def __init__(self, data):
        self.data = data


class _Net:
    def __init__(self, data):
        self.blobs = {"data": _Blob(data)}


class _Input:
    blob, channels, mean = "data", 3, (0, 0, 0)


class _Dataset:
    inputs = (_Input,)


def make(folder, name="net", seed=0, steps=(40, 80, 120), size=(48, 64), count=6):
    """Write <folder>/<name>.jsonl and the run <folder>/<name>/; returns the latter."""
    rng = np.random.RandomState(seed)
    out = os.path.join(str(folder), name)
    records = Records(out, out + ".jsonl", {"label": NAMES})
    facts = dict(
        experiment=name, dataset="mine", backbone="toy", head="sum", stride=8, seed=seed,
        device="CPU", palette=toy.PALETTE[:5].tolist(), classes=NAMES, train_images=20,
        val_images=count, time="2026-01-01T00:00:00Z", command=["train.py", "--out", "a b"],
        versions={"python": "3"}, git=None,
    )  # fmt: skip
    records.begin("run", facts)
    for step in range(20, steps[-1] + 1, 20):
        records.step(step, 2.0 / step, 2.0 / step, 0.1)
    for number, step in enumerate(steps, 1):
        net = _Net(rng.randint(0, 255, (1, 3, *size)).astype(np.float32))
        ids = [f"photo {i} <i>" for i in range(count)]
        pictures = Pictures(net, _Dataset, toy.PALETTE, ids, out, 0)
        whole = np.zeros((5, 5), np.int64)
        for i in range(count):
            truth = np.zeros(size, np.float32)
            truth[: size[0] // 2] = 1 + i % 4
            truth[0] = 255
            found = np.where(rng.rand(*size) < 0.1 * i / number, 3, truth % 255).astype(np.uint8)
            hist = fast_hist(truth, found, 5)
            pictures.each(i, 0, truth, found, hist)
            whole += hist
        line = results.record(
            Score(1.0 / number, whole, metrics(whole)),
            output="label", run="run", iter=step, rate=0.1, train_loss=0.5, seconds=1.0,
        )  # fmt: skip
        results.append(records.log, line)
        records.write_confusion(step, "label", whole)
        pictures.save(step)
    records.write_results()
    records.took(75)
    for name in ("deploy", "train"):
        shutil.copy(os.path.join(ROOT, "nets", "toy-fcn8s", name + ".prototxt"), out)
    with open(os.path.join(out, "log.txt"), "w") as f:
        f.write("Iteration 20 <script>alert(1)</script>\n")
    return out
