"""The command line of score.py: score trained weights on a split, or saved predictions."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap
import caffe
import data
from bootstrap import shown
from fcn import catalog, device, options, run_files
from fcn.errors import USER_ERRORS
from fcn.scoring import predictions, results
from fcn.scoring.evaluate import evaluate
from fcn.weights import find
from fcn.weights.load import load_weights
from segdata.splits import read_lines

if TYPE_CHECKING:
    from fcn.scoring.evaluate import Score
    from fcn.scoring.predictions import PerImage


def _many(text: str) -> int:
    """Up to 4096 classes: saved label maps may be of 16 bits."""
    return options.number(text, 1, 4096)


def _label(text: str) -> int | None:
    return options.number(text, 0, 2**31 - 1) if text[:1] != "-" else -options.number(text[1:], 0)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="score.py",
        allow_abbrev=False,
        description="Score trained weights on a split of their data set, one forward pass of each "
        "whole image. Appends the result to <out>/scores.jsonl. With --pred and --gt: score saved "
        "predictions, without a net.",
    )
    p.add_argument("experiment", nargs="?", help="one of {}".format(", ".join(catalog.EXPERIMENTS)))
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
    p.add_argument(
        "--mirror",
        action="store_true",
        help="score the mean of each image's and its mirror image's probabilities, in twice the "
        "time",
    )
    files = p.add_argument_group("saved predictions")
    for name, what in (("--pred", "predicted label maps"), ("--gt", "true label maps")):
        files.add_argument(
            name,
            type=bootstrap.user_path,
            metavar="DIR",
            help=f"{what}: palette or grey PNGs or .npy, paired by name",
        )
    files.add_argument("--dataset", choices=data.DATASETS, help="the dataset of the classes")
    files.add_argument(
        "--classes",
        type=_many,
        metavar="N",
        help="the number of classes, instead of --dataset",
    )
    files.add_argument(
        "--ignore",
        type=_label,
        metavar="LABEL",
        help="a true label to ignore, besides those out of range",
    )
    files.add_argument(
        "--list",
        type=bootstrap.user_path,
        metavar="FILE",
        help="the names to score, one per line (default: all in --gt)",
    )
    options.shared(p, data="as its solve.py --help says", out="weights and results are")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    from_files = bool(args.pred or args.gt)
    if from_files and not (args.pred and args.gt and (args.dataset or args.classes)):
        p.error("saved predictions need --pred, --gt and one of --dataset and --classes")
    if from_files == bool(args.experiment):
        p.error("give either an experiment or --pred and --gt")
    bootstrap.enter()
    try:
        run_saved(args) if from_files else run(args)
    except BrokenPipeError:
        raise
    except USER_ERRORS as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> Score:
    """Score, print the measures and the IU of each class, append the result; returns the Score
    of the first output."""
    experiment = run_files.experiment(args.experiment)
    args.out = args.out or find.out_of(experiment)
    path = find.find(
        find.trained_of(experiment, args.out),
        args.weights,
        f"{experiment.name} has no trained weights here",
    )
    name = shown(os.path.abspath(path))
    where = device.use(args.gpu, args.precision)
    changes = run_files.folders_of(experiment, args.data)
    if args.split:
        changes["split"] = args.split
    with tempfile.TemporaryDirectory() as folder:
        net = caffe.Net(run_files.net(experiment, "val", folder, changes), caffe.TEST)
    load_weights(net, path)
    images = run_files.images(net)
    print(f"{experiment.name}, {name}, on {results.engine()}, {where}", flush=True)
    classes = data.names_of(experiment.dataset)
    split = args.split or experiment.dataset.val.params["split"]
    mirror = [blob.blob for blob in experiment.dataset.inputs] if args.mirror else []
    scores = []
    for output in experiment.dataset.outputs:
        save = args.save
        title = f"{split}, {len(images)} images"
        if len(experiment.dataset.outputs) > 1:
            title += f", {output.label}"
            save = save and os.path.join(save, output.label)
        if mirror:
            title += ", with their mirror images"
        result = evaluate(net, save, images, "score" + output.suffix, output.label, mirror=mirror)
        line = results.record(
            result,
            experiment=experiment.name,
            output=output.label,
            weights=name,
            split=split,
            images=len(images),
            mirror=args.mirror,
        )
        # Before anything is printed: whoever reads may stop at the first line.
        results.append(os.path.join(args.out, "scores.jsonl"), line)
        print(f"{title}: {results.summary(result)}")
        print(results.table(result, getattr(classes, output.names)), flush=True)
        scores.append(result)
    return scores[0]


def run_saved(args: argparse.Namespace) -> tuple[Score, PerImage]:
    """Score saved predictions, print the measures; returns what `predictions.evaluate` gives."""
    names: Any = data.dataset(args.dataset).CLASSES if args.dataset else None
    classes = args.classes or len(names)
    images = None
    if args.list:
        images = [name for line in read_lines(args.list) for name in line.split()]
    found = predictions.pairs(args.pred, args.gt, images)
    result, averages = predictions.evaluate(found, classes, args.ignore)
    print(predictions.report(result, averages))
    print(results.table(result, names if names and len(names) == classes else None))
    return result, averages
