"""Train a net with weights on for a while, and average its weights along the way.

    python nets/average.py camvid-fcn4s-lite0 --data CAMVID --steps 400 --batch 6 --crop 449 \\
        --scale 0.7 2.0 --light 0.35 --seed 5

A rate that is high again leaves the weights that were found and walks around them; the mean of the
second half of that walk generalises better than any place on it (Izmailov et al. 2018, "Averaging
weights leads to wider optima"), and the middle between it and the beginning often more so.
Candidates are the beginning, the last weights, the mean, and that middle. All are scored on val;
the best are written. The recipe is `fcn.catalog.schedules.adam`, the data layer the row's own, but
for what is said here.
"""

import argparse
import os
import sys
import time
from collections import OrderedDict

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np

import bootstrap
import caffe
import data
import surgery
from caffe.proto import caffe_pb2
from fcn import device, options, run_files
from fcn.build import build
from fcn.catalog import schedules
from fcn.console import exit_code
from fcn.errors import USER_ERRORS
from fcn.prototxt import write_prototxt
from fcn.scoring import results
from fcn.scoring.evaluate import evaluate
from fcn.weights import find


def write_nets(experiment, args):
    """Write train.prototxt, val.prototxt and solver.prototxt to args.out; the solver's path."""
    changes = run_files.folders_of(experiment, args.data)
    given = dict(batch_size=args.batch, seed=args.seed, workers=args.workers)
    given.update(light=args.light, color=args.light)
    given.update(crop=args.crop and (args.crop, args.crop), scale=args.scale and tuple(args.scale))
    given = {key: value for key, value in given.items() if value is not None}
    dataset = experiment.dataset
    train, val = dataset.train, dataset.val
    dataset = dataset._replace(
        train=train._replace(params=OrderedDict(train.params, **changes, **given)),
        val=val._replace(params=OrderedDict(val.params, **changes)),
    )
    fields = dict(schedules.adam(args.steps, args.rate, args.steps, 1).fields)
    del fields["snapshot"]
    fields.update(display=0, test_iter=[fields["test_iter"]])
    row = experiment._replace(dataset=dataset)
    solver = caffe_pb2.SolverParameter(
        train_net=_write(args.out, "train", build(row, "train")),
        test_net=[_write(args.out, "val", build(row, "val"))],
        random_seed=args.seed,
        snapshot_after_train=False,
        snapshot_prefix=os.path.join(args.out, "train"),
        **fields,
    )
    return _write(args.out, "solver", solver)


def _write(folder, name, message):
    return write_prototxt(os.path.join(folder, name + ".prototxt"), message)


def values(net):
    """The weights, by layer, as float64."""
    return OrderedDict((k, [b.data.astype(np.float64) for b in v]) for k, v in net.params.items())


def put(net, found):
    for name, blobs in found.items():
        for blob, value in zip(net.params[name], blobs):
            blob.data[...] = value


def mixed(first, second, share):
    """(1 - share) of the first and share of the second."""
    return OrderedDict(
        (name, [(1 - share) * a + share * b for a, b in zip(first[name], second[name])])
        for name in first
    )


def train(solver, args):
    """Train; returns the mean of the weights of the second half, and of how many it is."""
    losses, mean, taken, clock = [], None, 0, time.time()
    while solver.iter < args.steps:
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data.sum()))
        if solver.iter % args.display == 0:
            recent = np.mean(losses[-args.display :])
            print(f"step {solver.iter}: loss {recent:.4f}, {time.time() - clock:.0f} s", flush=True)
        if solver.iter > args.steps // 2 and solver.iter % args.every == 0:
            taken += 1
            now = values(solver.net)
            mean = now if mean is None else mixed(mean, now, 1 / taken)
    return mean, taken


def choose(solver, candidates, experiment, path):
    """Score all on val, print the table, write the best to `path`."""
    net, test = solver.net, solver.test_nets[0]
    output = experiment.dataset.outputs[0]
    names = getattr(data.names_of(experiment.dataset), output.names)
    images, best = run_files.images(test), (-1.0, "")
    print(f"\n| val, {len(images)} images | mean IU | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * (1 + len(names)))
    for name, candidate in candidates.items():
        put(net, candidate)
        test.share_with(net)
        found = evaluate(test, None, images, "score" + output.suffix, output.label).metrics
        cells = " | ".join(f"{100 * iu:.1f}" for iu in found.iu)
        print(f"| {name} | {100 * found.mean_iu:.2f} | {cells} |", flush=True)
        if found.mean_iu > best[0]:
            best = (found.mean_iu, name)
            net.save(path)
    print(f"\nbest on val: {best[1]}, in {bootstrap.shown(path)}")


def run(args):
    experiment = run_files.experiment(args.experiment)
    weights = find.find(
        find.trained_of(experiment), args.weights, f"{experiment.name} has no trained weights here"
    )
    args.out = os.path.join(args.out or find.out_of(experiment), experiment.name + "-averaged")
    os.makedirs(args.out, exist_ok=True)
    where = device.use(args.gpu, args.precision)
    shown = bootstrap.shown(os.path.abspath(weights))
    print(f"{experiment.name}, {shown}, on {results.engine()}, {where}", flush=True)
    solver = caffe.get_solver(write_nets(experiment, args))
    surgery.load(solver.net, weights)
    surgery.interp(solver.net, surgery.uses_upsampling(solver.net))
    began = values(solver.net)
    mean, taken = train(solver, args)
    candidates = OrderedDict(start=began, last=values(solver.net))
    if mean:
        candidates[f"mean of {taken}"] = mean
        candidates["middle of start and mean"] = mixed(began, mean, 0.5)
    choose(solver, candidates, experiment, os.path.join(args.out, experiment.name + ".caffemodel"))


def parser():
    p = argparse.ArgumentParser(
        prog="average.py", allow_abbrev=False, description=__doc__.split("\n\n")[0]
    )
    p.add_argument("experiment", help="a net that has weights, with one loss")
    p.add_argument("--weights", type=bootstrap.user_path, metavar="FILE", help="to start from")
    p.add_argument("--steps", type=options.positive, default=400, help="(default: 400)")
    p.add_argument("--rate", type=float, default=1e-3, help="at the start (default: 0.001)")
    p.add_argument("--batch", type=options.positive, metavar="N", help="pictures a step")
    p.add_argument("--crop", type=options.positive, metavar="N", help="height and width of crops")
    p.add_argument("--scale", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of the pictures")
    p.add_argument("--light", type=float, metavar="SHARE", help="how far light and colours vary")
    p.add_argument("--seed", type=options.natural, default=1, help="(default: 1)")
    p.add_argument("--every", type=options.positive, default=5, help="steps between weights taken")
    p.add_argument("--display", type=options.positive, default=20, help="steps between lines")
    p.add_argument("--workers", type=options.positive, help="processes that read pictures")
    options.shared(p, data="as its solve.py --help says", out="the folder NAME-averaged is")
    return p


def main(argv=None):
    """Returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    bootstrap.enter()
    try:
        run(args)
    except USER_ERRORS as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
