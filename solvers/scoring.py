"""The command line of score.py: score trained weights on a split."""

import argparse
import os
import tempfile

import bootstrap
import caffe
import data
import score
import surgery
from bootstrap import shown
from nets import catalog
from solvers import prepare, results
from solvers.errors import USER_ERRORS, StartError


def parser():
    p = argparse.ArgumentParser(
        prog="score.py",
        description="Score trained weights on a split of their data set, one forward pass of each "
        "whole image. Appends the result to <out>/scores.jsonl.",
    )
    p.add_argument("experiment", help="one of {}".format(", ".join(catalog.EXPERIMENTS)))
    p.add_argument("--split", help="the split's list (default: the one of the val net)")
    p.add_argument("--weights", type=bootstrap.user_path, metavar="FILE")
    p.add_argument("--data", nargs="+", type=bootstrap.user_path, metavar="DIR")
    p.add_argument(
        "--save",
        type=bootstrap.user_path,
        metavar="DIR",
        help="write every prediction as a palette PNG",
    )
    p.add_argument("--gpu", type=int, metavar="N")
    p.add_argument(
        "--out",
        type=bootstrap.user_path,
        metavar="DIR",
        default=os.path.join(bootstrap.ROOT, "out"),
        help="where weights and results are (default: out in the repository)",
    )
    return p


def main(argv=None):
    """Returns the exit code."""
    args = parser().parse_args(argv)
    bootstrap.enter()
    try:
        run(args)
    except USER_ERRORS as e:
        print(f"error: {e}")
        return 1
    return 0


def run(args):
    """Score, print the measures and the IU of each class, append the result; returns the Score."""
    experiment = catalog.experiment(args.experiment)
    weights = args.weights or os.path.join(args.out, experiment.name + ".caffemodel")
    if not os.path.isfile(weights):
        raise StartError(
            f"no trained weights: {shown(weights)}. Make them by python "
            f"nets/{experiment.name}/solve.py, or name a file by --weights."
        )
    if args.gpu is not None:
        caffe.set_device(args.gpu)
        caffe.set_mode_gpu()
    changes = prepare.folders_of(experiment, args.data)
    if args.split:
        changes["split"] = args.split
    with tempfile.TemporaryDirectory() as folder:
        net = caffe.Net(prepare.net(experiment, "val", folder, changes), caffe.TEST)
    report = surgery.load(net, weights)
    missing = sorted({name for name, _ in report.left})
    if missing:
        raise StartError("{} has no weights for {}".format(shown(weights), ", ".join(missing)))
    images = prepare.images(net)
    print(f"{experiment.name}, {shown(weights)}, on {results.engine()}", flush=True)
    result = score.evaluate(net, 0, args.save, images)
    print(results.table(result, data.dataset(experiment.dataset.name).CLASSES))
    split = args.split or experiment.dataset.val.params["split"]
    line = results.record(
        result, experiment=experiment.name, weights=shown(weights), split=split, images=len(images)
    )
    results.append(os.path.join(args.out, "scores.jsonl"), line)
    return result
