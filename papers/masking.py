"""Foreground and background masked (PAMI paper §6).

Nets are trained on whole images, on images without foreground, without background, or of its shape
alone; the one of whole images is also tested on the others' images. Scores are of the foreground's
classes, which must be told by what is left.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import numpy as np

import score
from papers import _common, _training, datasets, edits

STEPS = 120

#: Of CamVid the things; the rest is what they stand on and before.
FOREGROUND = {
    "toy": ("disc", "square", "triangle", "star"),
    "camvid": ("pole", "sign", "car", "pedestrian", "bicyclist"),
}

#: label, what is hidden in training, in testing
CASES = (
    ("whole images", None, None),
    ("whole images, tested without background", None, "background"),
    ("whole images, tested without foreground", None, "foreground"),
    ("foreground alone", "background", "background"),
    ("background alone", "foreground", "foreground"),
    ("shape alone", "both", "both"),
)


def masks(train, test, foreground):
    """A change that hides parts in training and in testing."""
    changes = [
        edits.mask(hide, foreground, [phase])
        for phase, hide in (("train", train), ("val", test))
        if hide
    ]
    return edits.both(*changes)


def foreground_iu(hist, foreground):
    """Mean IU of the foreground's classes; those that are nowhere are left out."""
    return float(np.nanmean(score.metrics(hist).iu[list(foreground)]))


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv, camvid=True)
    record = _common.Record("masking", "Foreground and background masked", "PAMI paper §6", args)
    for title, small in (
        ("Generated pictures", datasets.generated(args.out, args.quick)),
        ("CamVid", datasets.shrunk_camvid(args.camvid, args.out, args.quick)),
    ):
        names = __import__("data." + small.dataset.name, fromlist=["CLASSES"]).CLASSES
        foreground = [names.index(name) for name in FOREGROUND[small.dataset.name]]
        rows = []
        trained = {}
        for label, train, test in CASES:
            variant = _training.Variant(
                f"{title}: {label}",
                _training.row("toy-fcn8s", small),
                STEPS,
                0.05,
                masks(train, test, foreground),
                batch=4,
            )
            if (train, test) in ((None, "background"), (None, "foreground")):
                hists = [
                    _training.rescore(variant, seed, small, args, run.weights)
                    for seed, run in enumerate(trained[None], 1)
                ]
            else:
                runs = _training.train_all([variant], args.seeds, small, args)
                trained[train] = runs[variant.label]
                hists = [run.hist for run in trained[train]]
                record.raw.update(_training.raw(runs))
            rows.append(
                [
                    label,
                    _kept(train),
                    _kept(test),
                    _common.percent([foreground_iu(h, foreground) for h in hists]),
                    _common.percent([score.metrics(h).mean_iu for h in hists]),
                ]
            )
            print(f"{title}: {rows[-1]}", flush=True)
        record.table(
            [
                "",
                "seen in training",
                "seen in testing",
                "mean IU of the foreground",
                "mean IU of all",
            ],
            rows,
            f"{title}, toy-fcn8s from the fillers, {args.seeds} runs each of {STEPS} "
            "steps, %, mean (least–most)",
        )
    record.write()


def _kept(hide):
    return {None: "all", "background": "foreground", "foreground": "background", "both": "shape"}[
        hide
    ]


if __name__ == "__main__":
    main()
