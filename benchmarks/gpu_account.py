#!/usr/bin/env python3
"""Where a training step of FCN-8s at 500×500 spends its time on an H100: an estimate, added up from
single operators that were timed there (benchmarks/results/2026-11-26-gpu-operators-h100.txt).

    python benchmarks/gpu_account.py

Layers that were not timed count as their stage's second one, the first of a stage half of that;
maps scale with their bytes. What came after the run is taken off in proportion. docs/gpu.md has the
table, and says what follows from it.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMES = os.path.join(ROOT, "benchmarks", "results", "2026-11-26-gpu-operators-h100.txt")
STAGES = {1: (64, 698, 2), 2: (128, 349, 2), 3: (256, 175, 3), 4: (512, 88, 3), 5: (512, 44, 3)}
#: Of a stage's work, what the short maps of pad 100 leave (docs/gpu.md).
SHORT = {1: 0.54, 2: 0.59, 3: 0.74, 4: 1.0, 5: 1.0}
PARAMETERS = 134_489_000
RATE = 2.96e9  # bytes a millisecond: ReLU's backward pass in the results, 374 MB in 0.1266 ms
#: Milliseconds of the second run: the engine's step, PyTorch's, and what 1.5 times as fast is.
MEASURED = {"tf32": (10.86, 13.17), "bf16": (9.13, 10.15)}
WANTED = 1.5


def timed(mode):
    """{layer: (forward with bias and ReLU, gradient of input, of weights, of bias)} in
    channels-last memory; and (forward, backward) of stage 1's pooling, backward of its ReLU."""
    with open(TIMES, encoding="utf-8") as stream:
        text = stream.read()
    row = rf"^(\S+) +{mode} nhwc \| (\S+) nobias (\S+) fused (\S+) \| (\S+) (\S+) (\S+)$"
    layers = {}
    for name, plain, _, fused, *gradients in re.findall(row, text, re.M):
        layers[name] = (min(float(plain), float(fused)), *map(float, gradients))
    kind = "bf16" if mode == "bf16" else "f32"
    found = re.search(rf"^{kind} nhwc pool (\S+) poolb (\S+) relub (\S+)", text, re.M)
    return layers, [float(number) for number in found.groups()]


def parts(mode):
    """{part: (milliseconds with whole maps, with short ones)}."""
    layers, (pool, pool_back, relu_back) = timed(mode)
    whole, short = {}, {}

    def add(part, milliseconds, share=1.0):
        whole[part] = whole.get(part, 0) + milliseconds
        short[part] = short.get(part, 0) + milliseconds * share

    names = ("convolutions forward", "gradients of inputs", "gradients of weights",
             "gradients of biases")  # fmt: skip
    for stage, (channels, side, count) in STAGES.items():
        for number in range(1, count + 1):
            first = number == 1 and 1 < stage < 5
            known = f"conv{stage}_{number}" if f"conv{stage}_{number}" in layers else None
            row = layers[known or f"conv{stage}_2"]
            for k, part in enumerate(names):
                if stage == number == 1 and k == 1:
                    continue  # the picture gets no gradient
                halves = first and known is None and k < 3
                add(part, row[k] / (2 if halves else 1), SHORT[stage])
        share = channels * side**2 / (64 * 698**2)
        add("pooling, both ways", share * (pool + pool_back), SHORT[stage])
        # Since then the last ReLU of a stage is undone on the pooled map, where maps are short.
        pooled = count - 0.75 if stage < 4 else count
        add("ReLU backward", share * relu_back * count, SHORT[stage] * pooled / count)
    for name, part in (("fc6", "fc6, three products"), ("fc7", "fc7, three products")):
        add(part, sum(layers[name][:3]))
    bytes_each = 4 * PARAMETERS
    add("update: 5 passes over weights", 5 * bytes_each / RATE)
    add("diffs of weights copied", 2 * bytes_each / RATE, 0)
    if mode == "bf16":
        add("weights to bfloat16", 1.5 * bytes_each / RATE)
        fc6 = 102.8 / 134.5  # its gradient comes in float32 at once now
        add("gradients to float32", 1.5 * bytes_each / RATE, 1 - fc6)
    add("scores and loss: 0.7 GB", 0.7e9 / RATE)
    return {part: (whole[part], short[part]) for part in whole}


def table():
    found = {mode: parts(mode) for mode in MEASURED}
    names = list(dict.fromkeys(part for mode in found.values() for part in mode))
    lines = ["| milliseconds | tf32 then | now | bf16 then | now |", "|---|---|---|---|---|"]
    for name in names:
        cells = [f"{v:.2f}" for mode in found for v in found[mode].get(name, (0.0, 0.0))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sums = {mode: [sum(v[k] for v in found[mode].values()) for k in (0, 1)] for mode in found}
    lines.append("| sum | " + " | ".join(f"{v:.2f}" for m in sums for v in sums[m]) + " |")
    cells = [f"{MEASURED[mode][0]:.2f} | " for mode in found]
    lines.append("| measured | " + " | ".join(cells) + " |")
    cells = [f" | {MEASURED[mode][1] / WANTED:.2f}" for mode in found]
    lines.append("| wanted: PyTorch's / 1.5 | " + " | ".join(cells) + " |")
    return "\n".join(line.replace("  ", " ") for line in lines)


def main():
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
