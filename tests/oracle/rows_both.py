"""Every row of fcn/catalog under BVLC Caffe and under the engine: two steps and a scoring pass.

    python tests/oracle/rows_both.py [--root DIR] [--rows NAME,NAME] [--share N] [--full]

Each row's own nets, solver and data layers run in both programs on tiny datasets in the true
formats. Widths are divided by --share (default 8; nets from scratch keep theirs), or kept with
--full, which takes one row of each backbone at full size. iter_size is 2 at most, and fast
rates are a thousandth.

Both start from the same random weights. Compared are: the two losses; after two steps every
parameter, and every update, which Caffe leaves in the parameters' diff; the histogram and the loss
of the scoring pass. Updates are compared by their norm, not value by value: once in some thousand
activations rounding decides a sign or the maximum of a pooling window, and the constant border of
padded images is full of ties.
"""

import argparse
import os
import sys
import tempfile

import numpy as np
import rows
from root import CHECKOUT, OracleMissing, default_root
from sides import HERE, Bvlc, Engine

sys.path.insert(0, os.path.join(CHECKOUT, "tests"))
sys.path.insert(0, CHECKOUT)
import data_samples
from narrow_nets import narrow
from PIL import Image

import bootstrap  # noqa: F401
from data import toy
from fcn import catalog, run_files
from fcn.prototxt import read_net, read_solver, to_text

RUNNER = os.path.join(HERE, "rows_runner.py")
#: One row of each backbone, for --full.
FULL = (
    "voc-fcn8s",
    "voc-fcn32s-vgg19",
    "voc-fcn-alexnet",
    "voc-fcn-googlenet",
    "voc-fcn8s-resnet50",
    "camvid-fcn8s",
    "toy-fcn8s",
    "membrane-unet",
    "membrane-unet-small",
)
#: Rates above it are divided by 1000.
FAST = 5e-4
#: Largest difference allowed: of a loss and of the scoring pass's, as a share of it; of a parameter
#: blob, as a share of its largest value; of an update, as a share of its norm; of the histogram, as
#: a share of the pixels.
LOSS, WEIGHTS, UPDATE, PIXELS = 1e-4, 1e-4, 3e-2, 2e-3
#: An update below this share of the largest one is rounding: so the gradient of a bias that the
#: next BatchNorm subtracts again. Its difference counts as a share of that size.
ROUNDING = 1e-5


def make_data(folder):
    """{dataset's name: {key of param_str: folder}} of tiny datasets in the true formats."""
    made = {
        name: data_samples.make(name, os.path.join(folder, name)) for name in data_samples.DATASETS
    }
    made["toy"] = {"voc_dir": os.path.join(folder, "toy")}
    toy.generate(made["toy"]["voc_dir"], 8, 2, (53, 45), seed=3)
    made["membrane"] = {"root": os.path.join(folder, "membrane")}
    _membranes(made["membrane"]["root"])
    return made


def _membranes(root):
    """Two images of each split in the layout of data/membrane.py."""
    rng = np.random.RandomState(8)
    for part in ("images", "labels"):
        os.makedirs(os.path.join(root, part))
    for split in ("train", "val"):
        names = [f"{split}{i}.png" for i in range(2)]
        for name in names:
            image = data_samples.photo(45, 53, rng)
            label = data_samples.rectangles(45, 53, [0, 1], rng)
            Image.fromarray(image[:, :, 0]).save(os.path.join(root, "images", name))
            Image.fromarray(label).save(os.path.join(root, "labels", name))
        with open(os.path.join(root, split + ".txt"), "w", encoding="ascii") as lines:
            lines.writelines(f"{name}\t{name}\n" for name in names)


def write_row(row, folders, share, work):
    """Write the row's solver and nets to `work`, narrowed, on other data; the solver's path."""
    param = read_solver(os.path.join(CHECKOUT, catalog.solver_path(row.name)))
    for phase in ("train", "val"):
        changes = dict(folders, crop=(64, 64)) if phase == "train" else folders
        path = run_files.net(row, phase, work, changes)
        with open(path, encoding="utf-8") as stream:
            source = stream.read()
        net = narrow(read_net(path), share) if share > 1 else None
        if net is not None:
            source = to_text(net)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(source)
    param.train_net = os.path.join(work, "train.prototxt")
    param.test_net[0] = os.path.join(work, "val.prototxt")
    param.iter_size = min(param.iter_size, 2)
    param.random_seed = 5
    if param.base_lr > FAST:
        # Random weights with such a rate diverge, or carry one sign that rounding decided into
        # every weight of the second step. At a thousandth an update is some thousandths of the
        # weights, so what one such sign may move (UPDATE) stays below what weights may differ
        # (WEIGHTS). The update is compared relative to its norm, so nothing is lost.
        param.base_lr /= 1000
    if param.type == "Adam":
        # Dividing by the gradient's own size makes full steps of gradients that are rounding alone.
        # trajectories.py compares that division.
        param.delta = 1
    param.display = 0
    param.ClearField("snapshot")
    param.ClearField("snapshot_prefix")
    path = os.path.join(work, "solver.prototxt")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(to_text(param))
    return path


def run(side, solver, row, work, binds):
    """What rows_runner.py wrote, as a mapping of arrays."""
    out = os.path.join(work, side.title.replace(" ", "-") + ".npz")
    outputs = [f"score{o.suffix},{o.label}" for o in row.dataset.outputs]
    done = side.run(RUNNER, [solver, out, *outputs], binds=binds, capture_output=True)
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(
            f"{row.name} failed on {side.title}, status {done.returncode}:\n{log[-3000:]}"
        )
    return np.load(out)


def compare(expected, found):
    """(problems, number of arrays, the largest difference as a share of what is allowed)."""
    if str(expected["engine"]) == str(found["engine"]):
        return [f"both sides were produced by {expected['engine']}"], 0, np.inf
    names = [name for name in expected.files if name != "engine"]
    if sorted(names) != sorted(n for n in found.files if n != "engine"):
        return ["the two sides have different arrays"], 0, np.inf
    problems, worst = [], 0.0
    updates = [np.linalg.norm(expected[n]) for n in names if n.startswith("update:")]
    rounding = ROUNDING * max(updates, default=0.0)
    for name in names:
        share, text = _difference(name, expected[name], found[name], rounding)
        worst = max(worst, share if np.isfinite(share) else np.inf)
        if not share <= 1:
            problems.append(f"{name}: {text}")
    return problems, len(names), worst


def _difference(name, a, b, rounding=0.0):
    """(difference as a share of what is allowed, in words); rounding: norm of an update that is
    nothing else."""
    kind = name.split(":")[0]
    if a.shape != b.shape:
        return np.inf, f"shape {a.shape} expected, {b.shape} found"
    a, b = a.astype(np.float64), b.astype(np.float64)
    if kind == "update":
        apart, scale, allowed = np.linalg.norm(a - b), np.linalg.norm(a), UPDATE
    elif kind == "hist":
        apart, scale, allowed = np.abs(a - b).sum() / 2, a.sum(), PIXELS
    else:
        apart, scale = np.abs(a - b).max(), np.abs(a).max()
        allowed = LOSS if kind == "loss" else WEIGHTS
    if scale == 0:  # what does not learn has no update; all else must have values
        frozen = kind == "update" and apart == 0
        return (0.0, "") if frozen else (np.inf, "all zero, so the comparison says nothing")
    if kind == "update":
        scale = max(scale, rounding)
    return apart / scale / allowed, f"differs by {apart / scale:.3g}, allowed {allowed:g}"


def check(name, made, share, root, folder):
    """Compare one row; returns the number of problems."""
    row = catalog.experiment(name)
    share = 1 if row.backbone in ("toy", "camvid", "unet-small") else share
    with tempfile.TemporaryDirectory(dir=folder) as work:
        solver = write_row(row, made[row.dataset.name], share, work)
        sides = [run(side, solver, row, work, [folder]) for side in (Bvlc(root), Engine())]
        problems, count, worst = compare(*sides)
        learned = sum(
            1 for key in sides[0].files if key.startswith("update:") and np.any(sides[0][key])
        )
    width = "full width" if share == 1 else f"1/{share} of the width"
    print(
        f"{name}, {width}: {count} arrays, {learned} blobs learnt, largest difference "
        f"{worst:.2g} of what is allowed",
        flush=True,
    )
    for problem in problems[:8]:
        print("  " + problem)
    rows.add(
        "FCN", name, count, len(problems), worst, f"two training steps and a scoring pass, {width}"
    )
    return len(problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--rows", help="names, with commas; default: all")
    parser.add_argument("--share", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--full", action="store_true", help="a row of each backbone, full width")
    given = parser.parse_args()
    os.chdir(CHECKOUT)
    names = given.rows.split(",") if given.rows else FULL if given.full else catalog.EXPERIMENTS
    bad = 0
    with tempfile.TemporaryDirectory(prefix="rows-") as folder:
        made = make_data(os.path.join(folder, "data"))
        for name in names:
            try:
                bad += check(name, made, 1 if given.full else given.share, given.root, folder)
            except OracleMissing as error:
                sys.exit(f"oracle: nothing was compared: {error}")
            except RuntimeError as error:
                print(error)
                rows.add("FCN", name, 1, 1, note="did not run")
                bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
