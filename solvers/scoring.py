"""The command line of score.py: score trained weights on a split."""

import argparse
import os
import sys
import tempfile

import bootstrap
import caffe
import data
import score
import surgery
from bootstrap import shown
from nets import catalog, weights
from solvers import options, prepare, results
from solvers.errors import USER_ERRORS, StartError


def parser():
    p = argparse.ArgumentParser(
        prog="score.py",
        description="Score trained weights on a split of their data set, one forward pass of each "
        "whole image. Appends the result to <out>/scores.jsonl.",
    )
    p.add_argument("experiment", help="one of {}".format(", ".join(catalog.EXPERIMENTS)))
    p.add_argument("--split", help="the split's list (default: the one of the val net)")
    p.add_argument(
        "--weights",
        type=bootstrap.user_path,
        metavar="FILE",
        help="a caffemodel (default: the one in <out>, trained here; else the one next to the net)",
    )
    p.add_argument(
        "--save",
        type=bootstrap.user_path,
        metavar="DIR",
        help="write every prediction as a palette PNG",
    )
    options.shared(p, data="as its solve.py --help says", out="weights and results are")
    return p


def main(argv=None):
    """Returns the exit code."""
    args = parser().parse_args(argv)
    bootstrap.enter()
    try:
        run(args)
    except USER_ERRORS as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


def run(args):
    """Score, print the measures and the IU of each class, append the result; returns the Score."""
    experiment = catalog.experiment(args.experiment)
    path = weights.find(
        weights.trained(experiment.name, args.out),
        args.weights,
        f"{experiment.name} has no trained weights here",
    )
    name = shown(os.path.abspath(path))
    if args.gpu is not None:
        caffe.set_device(args.gpu)
        caffe.set_mode_gpu()
    changes = prepare.folders_of(experiment, args.data)
    if args.split:
        changes["split"] = args.split
    with tempfile.TemporaryDirectory() as folder:
        net = caffe.Net(prepare.net(experiment, "val", folder, changes), caffe.TEST)
    report = surgery.load(net, path)
    missing = sorted({name for name, _ in report.left})
    if missing:
        raise StartError("{} has no weights for {}".format(name, ", ".join(missing)))
    images = prepare.images(net)
    print(f"{experiment.name}, {name}, on {results.engine()}", flush=True)
    result = score.evaluate(net, 0, args.save, images)
    print(results.table(result, data.dataset(experiment.dataset.name).CLASSES))
    split = args.split or experiment.dataset.val.params["split"]
    line = results.record(
        result, experiment=experiment.name, weights=name, split=split, images=len(images)
    )
    results.append(os.path.join(args.out, "scores.jsonl"), line)
    return result
