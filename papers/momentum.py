"""Heavy momentum on single images against minibatches (CVPR paper §4.3; PAMI paper §6).

Minibatches of 20 (iter_size), momentum 0.9 and a loss normalised by the pixels; single images with
momentum 0.9 and 0.99 and a summed loss. All see the same number of images; each has two rates,
about the one at which an image moves the weights as far in the end:

    rate / (1 − momentum) per image, of its summed loss; a minibatch divides by 20 and the pixels
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets

IMAGES = 600
#: Of a minibatch.
RATES = (0.05, 0.2)

#: label, images of a step, momentum
RECIPES = (
    ("20 images, momentum 0.9", 20, 0.9),
    ("1 image, momentum 0.9", 1, 0.9),
    ("1 image, momentum 0.99", 1, 0.99),
)


def rate_of(rate, images, momentum, pixels):
    """The rate of a recipe that moves the weights as far as a minibatch of 20 at `rate`."""
    if images > 1:
        return rate
    return rate / (1 - 0.9) * (1 - momentum) / 20 / pixels


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv)
    record = _common.Record(
        "momentum", "Heavy momentum against minibatches", "CVPR paper §4.3; PAMI paper §6", args
    )
    small = datasets.generated(args.out, args.quick)
    pixels = 96 * 96
    table, best = [], {}
    for label, images, momentum in RECIPES:
        steps = IMAGES // images
        tried = [
            _training.Variant(
                f"{label}, rate {rate_of(rate, images, momentum, pixels):.2g}",
                _training.row("toy-fcn8s", small, normalize=images > 1),
                steps,
                rate_of(rate, images, momentum, pixels),
                batch=1,
                every=max(1, steps // 5),
                solver=dict(iter_size=images, momentum=momentum, lr_policy="fixed"),
            )
            for rate in RATES
        ]
        runs = _training.train_all(tried, args.seeds, small, args)
        columns, rows = _training.measures(
            runs,
            lambda name, several: [
                _common.mean_spread([run.scores[-1]["loss"] for run in several], 3),
                _training.seconds(several),
            ],
        )
        table += rows
        record.raw.update(_training.raw(runs))
        winner = max(runs, key=lambda name: _mean_iu(runs[name]))
        best[label] = [_over_images(run, images) for run in runs[winner]]
    record.table(
        columns + ["val loss", "seconds of the processor"],
        table,
        f"Generated pictures, toy-fcn8s from the fillers, {args.seeds} runs each over "
        f"{IMAGES} images, %, mean (least–most)",
    )
    record.plot(
        "momentum",
        [
            plots.Panel(
                "loss of val, at the best rate",
                "images",
                "loss per pixel",
                _training.curves(best, "loss"),
            ),
            plots.Panel(
                "mean IU of val, at the best rate",
                "images",
                "mean IU",
                _training.curves(best, "mean_iu"),
            ),
        ],
        "Loss and mean IU of val over the images seen, each recipe at its best rate",
    )
    record.write()


def _mean_iu(several):
    """Mean over runs, of those that diverged nothing."""
    values = [run.scores[-1]["mean_iu"] for run in several]
    return sum(v if v == v else 0 for v in values) / len(values)


def _over_images(run, images):
    """The run with its scores told by images instead of iterations."""
    return run._replace(scores=[dict(s, iter=s["iter"] * images) for s in run.scores])


if __name__ == "__main__":
    main()
