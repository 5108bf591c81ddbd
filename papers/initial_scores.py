"""Zero against random initial scores (CVPR paper §4.1, §4.3).

The score layer of a trained trunk begins at zero, as published, or at random numbers. The paper
finds that random numbers are neither faster nor better.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets, edits, pretraining

STEPS = 150


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv)
    record = _common.Record(
        "initial_scores", "Zero against random initial scores", "CVPR paper §4.3", args
    )
    small = datasets.generated(args.out, args.quick)
    trunk = pretraining.trunks(small, args)
    variants = [
        _training.Variant(
            label,
            _training.row("toy-fcn32s", small),
            STEPS,
            0.02,
            edits.scores_filled(filler, **options),
            start=trunk,
            every=30,
        )
        for label, filler, options in (
            ("zero", "constant", dict(value=0)),
            ("Gaussian, 0.01", "gaussian", dict(std=0.01)),
            ("Gaussian, as wide as MSRA's", "msra", {}),
        )
    ]
    runs = _training.train_all(variants, args.seeds, small, args)
    record.table(
        *_training.measures(runs),
        caption=(
            f"Generated pictures, toy-fcn32s from a trained trunk, {args.seeds} runs each of "
            f"{STEPS} steps, %, mean (least–most)"
        ),
    )
    record.plot(
        "initial_scores",
        [
            plots.Panel("training loss", "iteration", "loss", _training.curves(runs, window=10)),
            plots.Panel(
                "mean IU of val", "iteration", "mean IU", _training.curves(runs, "mean_iu")
            ),
        ],
        "Training loss and mean IU of val for zero and random initial scores",
    )
    record.raw.update(_training.raw(runs))
    record.write()


if __name__ == "__main__":
    main()
