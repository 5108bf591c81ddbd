"""Whole-image training against sampling patches (CVPR paper §4.3, figure 5).

Each cell of the coarsest score takes part in the loss with probability p, and a batch has 1/p times
as many images, so that as many cells are in a step. The loss is compared over iterations and over
time: the paper finds that sampling saves no iterations and costs the time of the further images.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets, edits

#: (what it is called, share of the cells that is kept)
SHARES = (
    ("whole images", 1.0),
    ("half of the cells, twice the images", 0.5),
    ("a quarter, four times the images", 0.25),
)
BATCH, STEPS, STRIDE = 4, 200, 32


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv)
    record = _common.Record(
        "whole_images", "Whole images against patches", "CVPR paper §4.3, figure 5", args
    )
    small = datasets.generated(args.out, args.quick)
    variants = [
        _training.Variant(
            label,
            _training.row("toy-fcn32s", small),
            STEPS,
            0.05,
            edits.sampled_loss(share, STRIDE),
            batch=int(BATCH / share),
            every=50,
            # A rate that stays: what is compared is the speed.
            solver=dict(lr_policy="fixed"),
        )
        for label, share in SHARES
    ]
    runs = _training.train_all(variants, args.seeds, small, args)
    columns, rows = _training.measures(
        runs,
        lambda label, several: [
            _common.mean_spread([s.scores[-1]["loss"] for s in several], 3),
            _training.seconds(several),
        ],
    )
    record.table(
        columns + ["val loss", "seconds of the processor"],
        rows,
        f"Generated pictures, toy-fcn32s, {args.seeds} runs each of {STEPS} steps, mean "
        "(least–most)",
    )
    record.plot(
        "whole_images",
        [
            plots.Panel("over iterations", "iteration", "training loss", _training.curves(runs)),
            plots.Panel(
                "over time",
                "seconds of the processor",
                "training loss",
                _training.curves(runs, times=True),
            ),
        ],
        "Training loss over iterations and over time, with and without sampling",
    )
    record.raw.update(_training.raw(runs))
    record.write()


if __name__ == "__main__":
    main()
