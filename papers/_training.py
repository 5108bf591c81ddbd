"""Train variants of a catalog row, several times each, and collect their curves and scores.

    variant = Variant("without skips", row("toy-fcn32s", small), steps=300, rate=0.05)
    runs = train_all([variant], seeds=3, small, args)
    runs["without skips"][0].scores[-1]["mean_iu"]

Only pycaffe's API is used, so that the same experiments run on BVLC Caffe.
"""

import hashlib
import json
import math
import os
import sys
import time
from collections import OrderedDict, namedtuple

import numpy as np

import caffe
import score
import surgery
from caffe.proto import caffe_pb2
from fcn import catalog, plots
from fcn.atomic import write_text
from fcn.build import build
from fcn.catalog.schedules import NEVER
from fcn.prototxt import write_prototxt
from papers._common import mean_spread, percent

__all__ = [
    "Run",
    "Variant",
    "curves",
    "kept",
    "last_loss",
    "measures",
    "net_file",
    "raw",
    "rescore",
    "row",
    "seconds",
    "train",
    "train_all",
]

# The prototxts name the experiments' own layers as a top-level module, as they do data layers.
sys.path.insert(1, os.path.dirname(os.path.abspath(__file__)))

#: One way to train. row: of fcn/catalog, see `row`; change(net, phase, seed): edits the
#: NetParameter of "train" or "val", None for none; solver: fields of the solver that differ;
#: start: a caffemodel, or a function of the seed that gives its path; batch: images in a step, None
#: for the row's; steps, rate: of the solver, whose rate falls to zero unless `solver` says
#: otherwise; every: steps between scorings of val, None for one at the end.
Variant = namedtuple(
    "Variant",
    "label row steps rate change solver start batch every",
    defaults=(None, None, None, None, None),
)

#: One training. losses: of each step; seconds: of the processor (of the clock on a GPU) that each
#: step took, scoring left out; scores: dicts with iter, loss (per pixel) and the four measures, of
#: val; hist: of the last; weights: the caffemodel.
Run = namedtuple("Run", "losses seconds scores hist weights")

MEASURES = ("overall_accuracy", "mean_accuracy", "mean_iu", "fwavacc")


def row(name, small, **changes):
    """A row of the catalog that reads a small dataset, with other fields replaced."""
    return catalog.experiment(name)._replace(dataset=small.dataset, **changes)


def train_all(variants, seeds, small, args, run_of=None):
    """{label: [Run, …]} of all variants; `args.quick` takes two steps of each. run_of: `kept` in
    place of `train`."""
    runs = OrderedDict()
    for variant in variants:
        for seed in range(1, seeds + 1):
            run = (run_of or train)(variant, seed, small, args)
            runs.setdefault(variant.label, []).append(run)
            last = run.scores[-1]
            print(
                "{}, seed {}: {} steps, {:.0f} s, loss of val {:.4f}, mean IU {:.2f} %".format(
                    variant.label,
                    seed,
                    len(run.losses),
                    sum(run.seconds),
                    last["loss"],
                    100 * last["mean_iu"],
                ),
                flush=True,
            )
    return runs


def kept(variant, seed, small, args):
    """The Run of an earlier call, if it was of the same nets, solver and initial weights; else one
    that is made now and kept for the next call: <its caffemodel's stem>-run.json.

    So an experiment of many long runs that was stopped goes on with the run it was in. That one
    starts anew, with its seed, and comes to the same.
    """
    stem = _stem(variant, seed, args)
    steps = 2 if args.quick else variant.steps
    solver = _write_solver(variant, seed, stem, steps)
    start = variant.start(seed) if callable(variant.start) else variant.start
    key = hashlib.sha256()
    for path in (solver, f"{stem}-train.prototxt", f"{stem}-val.prototxt", start):
        if path:
            with open(path, "rb") as f:
                key.update(f.read())
    place = stem + "-run.json"
    if os.path.exists(place):
        with open(place, encoding="utf-8") as f:
            fields = json.load(f)
        if fields.pop("key") == key.hexdigest() and os.path.exists(fields["weights"]):
            fields["hist"] = np.array(fields["hist"]) if fields["hist"] else None
            return Run(**fields)
    run = train(variant, seed, small, args)
    fields = dict(run._asdict(), key=key.hexdigest())
    fields["hist"] = None if run.hist is None else run.hist.tolist()
    write_text(place, json.dumps(fields) + "\n")
    return run


def train(variant, seed, small, args, scored=True):
    """One Run. scored: whether val is scored, at `variant.every` and at the end."""
    steps = 2 if args.quick else variant.steps
    every = min(variant.every or steps, steps)
    stem = _stem(variant, seed, args)
    clock = _device(args.gpu)
    solver = caffe.get_solver(_write_solver(variant, seed, stem, steps))
    net, test = solver.net, solver.test_nets[0]
    if variant.start:
        path = variant.start(seed) if callable(variant.start) else variant.start
        _quietly_load(net, path)
    surgery.interp(net, surgery.uses_upsampling(net))
    losses, seconds, scores, hist = [], [], [], None
    images = [str(i) for i in range(small.images)]
    while solver.iter < steps:
        began = clock()
        solver.step(1)
        losses.append(float(net.blobs["loss"].data.sum()))
        seconds.append(clock() - began)
        if not math.isfinite(losses[-1]):
            break
        if scored and (solver.iter % every == 0 or solver.iter == steps):
            test.share_with(net)
            hist, loss = score.compute_hist(test, None, images)
            scores.append(_score(solver.iter, loss, hist))
    if not math.isfinite(losses[-1]):
        hist = None
        scores.append(
            dict(dict.fromkeys(MEASURES, float("nan")), iter=len(losses), loss=float("nan"))
        )
    weights = stem + ".caffemodel"
    net.save(weights)
    return Run(losses, seconds, scores, hist, weights)


def rescore(variant, seed, small, args, weights):
    """The histogram of a variant's val net with the weights of another."""
    _device(args.gpu)
    stem = _stem(variant, seed, args)
    net = caffe.Net(_write_net(variant, "val", seed, stem), weights, caffe.TEST)
    return score.compute_hist(net, None, [str(i) for i in range(small.images)])[0]


def net_file(variant, phase, seed, args):
    """The path of a variant's prototxt, "train" or "val", written anew."""
    return _write_net(variant, phase, seed, _stem(variant, seed, args))


def _stem(variant, seed, args):
    """The path of a run's files, without their endings."""
    folder = os.path.join(args.out, "nets")
    os.makedirs(folder, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in f"{variant.label}-{seed}")
    return os.path.join(folder, name)


def _device(gpu):
    """Choose it; returns the clock that measures it."""
    if gpu is None:
        caffe.set_mode_cpu()
        return time.process_time  # others' work on the same machine does not count
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return time.time


def _score(iteration, loss, hist):
    found = score.metrics(hist)
    return dict([(name, getattr(found, name)) for name in MEASURES], iter=iteration, loss=loss)


def _write_solver(variant, seed, stem, steps):
    """The path of a solver whose train and val nets lie beside it."""
    param = caffe_pb2.SolverParameter(
        train_net=_write_net(variant, "train", seed, stem),
        test_iter=[1],
        test_interval=NEVER,
        test_initialization=False,
        display=0,
        lr_policy="poly",
        power=0.9,
        base_lr=variant.rate,
        momentum=0.9,
        max_iter=steps,
        weight_decay=0.0005,
        random_seed=seed,
        snapshot_after_train=False,
        snapshot_prefix=stem,
    )
    param.test_net.append(_write_net(variant, "val", seed, stem))
    for key, value in (variant.solver or {}).items():
        setattr(param, key, value)
    return write_prototxt(stem + "-solver.prototxt", param)


def _write_net(variant, phase, seed, stem):
    experiment = variant.row
    source = getattr(experiment.dataset, phase)
    params = OrderedDict(source.params, seed=seed)
    if variant.batch and phase == "train":
        params["batch_size"] = variant.batch
    source = source._replace(params=params)
    if phase == "val":
        # Losses of val are told per pixel, however the variant is trained.
        experiment = experiment._replace(normalize=True)
    net = build(experiment._replace(dataset=experiment.dataset._replace(**{phase: source})), phase)
    if variant.change:
        variant.change(net, phase, seed)
    return write_prototxt(f"{stem}-{phase}.prototxt", net)


def _quietly_load(net, path):
    """`surgery.load` without its lines."""
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
    try:
        surgery.load(net, path)
    finally:
        sys.stdout.close()
        sys.stdout = stdout


# ---- what the runs come to -----------------------------------------------------------------------


def measures(runs, more=None):
    """(columns, rows) of a table of the last scores. more(label, runs): further cells."""
    columns = ["", "pixel accuracy", "mean accuracy", "mean IU", "f.w. IU"]
    rows = []
    for label, several in runs.items():
        last = [run.scores[-1] for run in several]
        rows.append(
            [label]
            + [percent([s[name] for s in last]) for name in MEASURES]
            + list(more(label, several) if more else [])
        )
    return columns, rows


def seconds(several):
    """ "12.3 (12.1–12.6)": of training, over several runs."""
    return mean_spread([sum(run.seconds) for run in several])


def last_loss(run, window=50):
    """The mean of a run's last training losses."""
    losses = run.losses[-window:]
    return sum(losses) / len(losses)


def curves(runs, what="losses", window=20, thin=5, times=False):
    """Curves of training losses, smoothed, or of a score of val by its name.

    times: against seconds instead of iterations, those of the mean run. thin: every how manieth
    point of the training losses.
    """
    found = []
    for label, several in runs.items():
        clock = [_running(run.seconds) for run in several]
        if what == "losses":
            # The first means are of few values, and would hide the rest.
            first = min(window // 2, len(several[0].losses) - 1)
            values = [plots.smooth(run.losses, window)[first::thin] for run in several]
            steps = list(range(1, len(several[0].losses) + 1))[first::thin]
        else:
            values = [[s[what] for s in run.scores] for run in several]
            steps = [s["iter"] for s in several[0].scores]
        xs = steps
        if times:
            xs = [sum(run[step - 1] for run in clock) / len(clock) for step in steps]
        found.append(plots.over_runs(label, xs, values, markers=what != "losses"))
    return found


def raw(runs):
    """What is kept of the runs: scores, the seconds, and every tenth loss, smoothed."""
    return OrderedDict(
        (
            label,
            [
                dict(
                    scores=[
                        {
                            key: round(value, 5) if math.isfinite(value) else None
                            for key, value in s.items()
                        }
                        for s in run.scores
                    ],
                    seconds=round(sum(run.seconds), 2),
                    steps=len(run.losses),
                    losses=[
                        float(f"{v:.4g}")
                        for v in plots.smooth(run.losses, 20)[9::10]
                        if math.isfinite(v)
                    ],
                )
                for run in several
            ],
        )
        for label, several in runs.items()
    )


def _running(values):
    total, sums = 0.0, []
    for value in values:
        total += value
        sums.append(total)
    return sums
