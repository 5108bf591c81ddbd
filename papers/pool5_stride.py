"""pool5 at stride 1 (CVPR paper §4.2, "Refinement by other means").

The scores come at stride 16 instead of 32 without any skip. To see as much of the image, the
filters above must be twice as large: 5×5 here, as fc6 would be 14×14 instead of 7×7. The paper
could not learn those, and got nothing comparable with smaller ones.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fcn import plots
from papers import _common, _training, datasets, edits

STEPS, RATE = 180, 0.05


def dense_pool5(kernel):
    """A change of FCN-32s: pool5 moves by 1, the convolution above has so large a filter."""

    def change(net, phase, seed):
        pool = edits.by_name(net, "pool5").pooling_param
        # A window of 3 with a border keeps size and place, which one of 2 would shift by a half.
        pool.kernel_size, pool.stride, pool.pad = 3, 1, 1
        above = edits.by_name(net, "conv6_1").convolution_param
        above.kernel_size[:], above.pad[:] = [kernel], [kernel // 2]
        up = edits.by_name(net, "upscore").convolution_param
        up.kernel_size[:], up.stride[:] = [32], [16]
        edits.by_name(net, "score").crop_param.offset[:] = [8]

    return change


def main(argv=None):
    args = _common.arguments(__doc__, dict(seeds=2), argv)
    record = _common.Record("pool5_stride", "pool5 at stride 1", "CVPR paper §4.2", args)
    small = datasets.generated(args.out, args.quick)
    variants = [
        _training.Variant(label, _training.row(name, small), STEPS, RATE, change, every=STEPS // 4)
        for label, name, change in (
            ("FCN-32s", "toy-fcn32s", None),
            ("pool5 at stride 1, 3×3 above", "toy-fcn32s", dense_pool5(3)),
            ("pool5 at stride 1, 5×5 above", "toy-fcn32s", dense_pool5(5)),
            ("FCN-16s (a skip from pool4)", "toy-fcn16s", None),
        )
    ]
    runs = _training.train_all(variants, args.seeds, small, args)
    columns, rows = _training.measures(runs, lambda label, several: [_training.seconds(several)])
    record.table(
        columns + ["seconds of the processor"],
        rows,
        f"Generated pictures, from the fillers, {args.seeds} runs each of {STEPS} steps, "
        "%, mean (least–most)",
    )
    record.plot(
        "pool5_stride",
        [
            plots.Panel("training loss", "iteration", "loss", _training.curves(runs)),
            plots.Panel(
                "mean IU of val", "iteration", "mean IU", _training.curves(runs, "mean_iu")
            ),
        ],
        "Training loss and mean IU of val with pool5 at stride 2 and 1",
    )
    record.raw.update(_training.raw(runs))
    record.write()


if __name__ == "__main__":
    main()
