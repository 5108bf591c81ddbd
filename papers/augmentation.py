"""Augmentation by mirroring and by jitter (CVPR paper §4.3).

Training images are mirrored at random, and moved by up to the stride of the coarsest scores in each
direction. The paper finds no noticeable improvement, with a trunk trained on ILSVRC.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets, edits

STEPS, STRIDE = 240, 32


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv, camvid=True)
    record = _common.Record(
        "augmentation", "Augmentation by mirroring and jitter", "CVPR paper §4.3", args
    )
    small = datasets.shrunk_camvid(args.camvid, args.out, args.quick)
    mirror, move = edits.option("train", mirror=True), edits.jitter(STRIDE)
    variants = [
        _training.Variant(
            label, _training.row("toy-fcn8s", small), STEPS, 0.05, change, batch=4, every=STEPS // 4
        )
        for label, change in (
            ("none", None),
            (f"mirrored, moved by up to {STRIDE} pixels", edits.both(mirror, move)),
        )
    ]
    runs = _training.train_all(variants, args.seeds, small, args)
    columns, rows = _training.measures(
        runs,
        lambda label, several: [
            _common.mean_spread([_training.last_loss(run) for run in several], 3),
            _common.mean_spread([run.scores[-1]["loss"] for run in several], 3),
        ],
    )
    record.table(
        columns + ["training loss", "val loss"],
        rows,
        f"CamVid, toy-fcn8s from the fillers, {args.seeds} runs each of {STEPS} steps, %, "
        "mean (least–most)",
    )
    record.plot(
        "augmentation",
        [
            plots.Panel("training loss", "iteration", "loss", _training.curves(runs)),
            plots.Panel(
                "mean IU of val", "iteration", "mean IU", _training.curves(runs, "mean_iu")
            ),
        ],
        "Training loss and mean IU of val with and without augmentation",
    )
    record.raw.update(_training.raw(runs))
    record.write()


if __name__ == "__main__":
    main()
