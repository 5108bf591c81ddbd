"""FCN on EfficientNet-Lite0, with and without its ILSVRC weights, on PASCAL VOC: fixed or learning,
32s, 16s and 8s, at once or in stages, augmentation, BatchNorm (CVPR paper §4.2, §4.3, table 2; PAMI
paper table 3).

Short trainings on small crops, equal for all; whole images of val are scored at the end. A run that
is done is kept in --out: the same command goes on where it was stopped. --only makes some of the
runs, and tables of these; so several processes can share the work, and a last call without it makes
the tables of all.
"""

import os
import sys
from collections import OrderedDict, namedtuple
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import caffe
import surgery
from fcn import catalog, plots
from fcn.errors import StartError
from fcn.training import initial
from papers import _common, _training, edits
from papers.datasets import Small

STEPS, STAGE = 120, 60
#: At once: as many steps as the three stages together.
WHOLE = STEPS + 2 * STAGE
BATCH, CROP = 8, 193
RATE, FINER = 1e-3, 3e-4
ADAM = dict(type="Adam", momentum2=0.999, delta=1e-8, weight_decay=1e-5)
#: What the data layer of the catalog's row varies; and the scale of an image where nothing varies.
VARIED = dict(mirror=True, scale=(0.5, 1.25), light=0.25, color=0.25)
PLAIN = dict(mirror=False, scale=(0.875, 0.875), light=0, color=0)

#: One row of the tables. row: fields of the catalog's voc-fcn32s-lite0 that differ; start:
#: "ilsvrc", the label of another, "classes" for ILSVRC's with scores from its classes, or None.
Plan = namedtuple("Plan", "label steps row start rate change views", defaults=(RATE, None, VARIED))

FROZEN = dict(backbone="efficientnet-lite0-frozen")
LEARNING = dict(backbone="efficientnet-lite0-learning")
PLANS = (
    Plan("FCN-32s, fixed", STEPS, dict(fixed=True), "ilsvrc"),
    Plan("FCN-32s", STEPS, {}, "ilsvrc"),
    Plan("FCN-16s", STAGE, dict(stride=16), "FCN-32s", FINER),
    Plan("FCN-8s", STAGE, dict(stride=8), "FCN-16s", FINER),
    Plan("FCN-8s, at once", WHOLE, dict(stride=8, at_once=True), "ilsvrc"),
    Plan("decoder to stride 4", WHOLE, dict(stride=4, head="classes", fixed=8), "classes"),
    Plan("FCN-32s, from scratch", STEPS, LEARNING, None, RATE, edits.scratch_trunk),
    Plan("FCN-32s, no augmentation", STEPS, {}, "ilsvrc", RATE, None, PLAIN),
    Plan("FCN-32s, BatchNorm frozen", STEPS, FROZEN, "ilsvrc"),
    Plan("FCN-32s, BatchNorm learning", STEPS, LEARNING, "ilsvrc"),
)

#: Mean IU of the papers on VOC 2011's val: VGG-16, trained on SBD's 8498 images.
PAPERS = {
    "FCN-32s, fixed": "45.4",
    "FCN-32s": "59.4",
    "FCN-16s": "62.4",
    "FCN-8s": "62.7",
}
TABLES = (
    ("Stages, skips and the trunk", [plan.label for plan in PLANS[:6]]),
    ("ILSVRC weights, augmentation, BatchNorm", ["FCN-32s"] + [p.label for p in PLANS[6:]]),
)


def small(voc, views, quick):
    """VOC as the catalog's row reads it, in small crops."""
    dataset = catalog.experiment("voc-fcn32s-lite0").dataset
    crop = 65 if quick else CROP
    train = OrderedDict(dataset.train.params, voc_dir=voc, workers=1, crop=(crop, crop), **views)
    val = OrderedDict(dataset.val.params, voc_dir=voc)
    with open(os.path.join(voc, "ImageSets", "Segmentation", "val.txt"), encoding="utf-8") as f:
        images = len(f.read().split())
    changed = dataset._replace(
        train=dataset.train._replace(params=train), val=dataset.val._replace(params=val)
    )
    return Small(changed, min(images, 2) if quick else images)


def with_classes(plan, trunk, args):
    """The path of a trunk whose new scores start from the classifier's own classes."""
    data = small(args.voc, plan.views, args.quick)
    variant = _training.Variant("classes", _row(plan, data), 1, RATE, batch=BATCH)
    caffe.set_random_seed(1)  # of the decoder's fillers, which are saved too
    net = caffe.Net(_training.net_file(variant, "val", 1, args), caffe.TEST)
    surgery.load(net, trunk)
    layer, classifier, classes = initial.classes_of(_row(plan, data))
    surgery.take_classes(net, layer, trunk, classifier, classes)
    path = os.path.join(args.out, "nets", "classes-start.caffemodel")
    net.save(path)
    return path


def _row(plan, data):
    row = catalog.experiment("voc-fcn32s-lite0")
    return row._replace(dataset=data.dataset, **plan.row)


def add_runs(plan, args, made):
    """Put the Runs of a Plan, new or kept, into {label: Runs}; first those that it starts from."""
    if plan.label in made:
        return
    data = small(args.voc, plan.views, args.quick)
    start: Any = None
    if plan.start in ("ilsvrc", "classes"):
        start = _trunk()
        if plan.start == "classes":
            start = with_classes(plan, start, args)
    elif plan.start:
        add_runs(next(p for p in PLANS if p.label == plan.start), args, made)

        def start(seed):
            return made[plan.start][seed - 1].weights

    variant = _training.Variant(
        plan.label,
        _row(plan, data),
        plan.steps,
        plan.rate,
        plan.change,
        ADAM,
        start,
        2 if args.quick else BATCH,
    )
    made.update(_training.train_all([variant], args.seeds, data, args, _training.kept))


def _trunk():
    path = os.path.abspath(os.path.join("ilsvrc-nets", "efficientnet-lite0.caffemodel"))
    if not os.path.isfile(path):
        raise StartError(
            "no ilsvrc-nets/efficientnet-lite0.caffemodel: python nets/weights.py "
            "efficientnet-lite0 makes it"
        )
    return path


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=1), argv, voc=True, only=[p.label for p in PLANS])
    record = _common.Record(
        "real_weights",
        "EfficientNet-Lite0 on VOC, with and without ILSVRC weights",
        "CVPR paper §4.2, §4.3, table 2; PAMI paper table 3",
        args,
    )
    runs = OrderedDict()
    for plan in PLANS:
        if not args.only or plan.label in args.only:
            add_runs(plan, args, runs)
    tables = [
        (caption, OrderedDict((label, runs[label]) for label in labels if label in runs))
        for caption, labels in TABLES
    ]
    tables = [(caption, chosen) for caption, chosen in tables if chosen]
    several_runs = "one run" if args.seeds == 1 else f"{args.seeds} runs"
    for caption, chosen in tables:
        columns, rows = _training.measures(
            chosen,
            lambda label, several: [
                _common.mean_spread([_training.last_loss(run, 20) for run in several], 2),
                _common.mean_spread([run.scores[-1]["loss"] for run in several], 2),
                str(len(several[0].losses)),
                _training.seconds(several),
                PAPERS.get(label, "–"),
            ],
        )
        more = ["training loss", "val loss", "steps", "seconds", "mean IU of the CVPR paper"]
        record.table(columns + more, rows, f"{caption}, {several_runs} each, %")
    record.plot(
        "real_weights",
        [
            plots.Panel(
                caption,
                "iteration",
                "loss per pixel",
                _training.curves(chosen),
            )
            for caption, chosen in tables
        ],
        "Training loss of each run",
    )
    record.raw.update(_training.raw(runs))
    # Of training; scoring is left out. Runs may be from earlier calls.
    record.write(sum(sum(run.seconds) for several in runs.values() for run in several))


if __name__ == "__main__":
    main()
