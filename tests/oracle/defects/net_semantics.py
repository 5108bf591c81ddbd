"""Defects of how nets are wired."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "parameters of one name do not share their diffs",
        "wiring.py",
        "    blob.share_diff(owner.blob)\n",
        "",
        ["net sharing"],
    ),
    Defect(
        "parameters of one name do not share their data",
        "wiring.py",
        "    blob.share_data(owner.blob)\n",
        "",
        ["net sharing"],
    ),
    Defect(
        "a param's name outranks its lr_mult 0",
        "wiring.py",
        "needs.append(prescribed.lr_mult != 0)",
        "needs.append(prescribed.lr_mult != 0 or bool(prescribed.name))",
        ["net sharing"],
    ),
    Defect(
        "the reader of a weighted top gets the copy that holds the weight",
        "graph.py",
        "taken[i, j] = 1",
        "taken[i, j] = 0",
        ["net losses"],
    ),
    Defect(
        "a weighted top needs no copy of its own",
        "graph.py",
        "uses[top] = uses.get(top, 0) + 1",
        "uses[top] = uses.get(top, 0)",
        ["net losses"],
    ),
    Defect(
        "a loss that is read trains all the same",
        "wiring.py",
        "if graph.layer_needs_backward[i] and skip:",
        "if False:",
        ["net losses"],
    ),
    Defect(
        "propagate_down is ignored",
        "wiring.py",
        "param.propagate_down[j] if param.propagate_down else flag[b]",
        "flag[b]",
        ["net backward"],
    ),
    Defect(
        "propagate_down: false also stops what lies below other bottoms",
        "wiring.py",
        "needs |= flag[b]",
        "needs |= flag[b] and not (param.propagate_down and not param.propagate_down[j])",
        ["net backward"],
    ),
    Defect(
        "lr_mult 0 does not spare the diff",
        "wiring.py",
        "needs.append(prescribed.lr_mult != 0)",
        "needs.append(True)",
        ["net backward"],
    ),
    Defect(
        "force_backward leaves out the inputs",
        "wiring.py",
        "needed or j not in layer.no_gradient",
        "needed",
        ["net backward"],
    ),
    Defect(
        "a Split hands on the last diff alone",
        "layer/split.py",
        "total = parts[0] + parts[1] if len(parts) > 1 else parts[0].clone()",
        "total = parts[-1].clone()",
        ["net backward"],
    ),
]
