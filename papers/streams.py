"""From FCN-32s to FCN-8s: in stages, at once, with a fixed trunk, with learnt upsampling (CVPR
paper §4.2 and §4.3, table 2; PAMI paper §4).

The trunk first learns which classes are in an image, from labels of whole images, in place of the
ILSVRC classifiers. From there FCN-32s learns all weights or, fixed, those of the scores alone;
16s and 8s start from the stage before. At once, FCN-8s has as many steps as all stages together.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets, edits, pretraining

STEPS = dict(coarse=300, middle=100, fine=150)


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=3), argv)
    record = _common.Record(
        "streams", "Stages, skips and upsampling", "CVPR paper §4.2, §4.3, table 2", args
    )
    small = datasets.generated(args.out, args.quick)
    runs = {}

    def run(label, name, steps, rate, start, change=None):
        variant = _training.Variant(
            label, _training.row(name, small), steps, rate, change, start=start, every=50
        )
        runs.update(_training.train_all([variant], args.seeds, small, args))

    def after(label):
        return lambda seed: runs[label][seed - 1].weights

    trunk = pretraining.trunks(small, args)
    run("FCN-32s, fixed", "toy-fcn32s", STEPS["coarse"], 0.05, trunk, edits.fixed_trunk)
    run("FCN-32s", "toy-fcn32s", STEPS["coarse"], 0.05, trunk)
    run("FCN-16s", "toy-fcn16s", STEPS["middle"], 0.02, after("FCN-32s"))
    run("FCN-8s", "toy-fcn8s", STEPS["fine"], 0.02, after("FCN-16s"))
    run(
        "FCN-8s, learnt upsampling",
        "toy-fcn8s",
        STEPS["fine"],
        0.02,
        after("FCN-16s"),
        edits.learnt_upsampling,
    )
    run("FCN-8s, at once", "toy-fcn8s", sum(STEPS.values()), 0.05, trunk)

    columns, rows = _training.measures(runs, lambda label, several: [str(len(several[0].losses))])
    record.table(
        columns + ["steps of this stage"],
        rows,
        f"Generated pictures, {args.seeds} runs each, %, mean (least–most)",
    )
    record.plot(
        "streams",
        [
            plots.Panel(
                "mean IU of val",
                "iteration of the stage",
                "mean IU",
                _training.curves(runs, "mean_iu"),
            )
        ],
        "Mean IU of val over the iterations of each stage",
    )
    record.raw.update(_training.raw(runs))
    record.write()


if __name__ == "__main__":
    main()
