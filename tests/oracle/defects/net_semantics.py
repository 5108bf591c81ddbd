"""Defects of how nets are wired."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "parameters of one name do not share their diffs",
        "net/wiring.py",
        "    blob.share_diff(owner.blob)\n",
        "",
        ["net sharing"],
    ),
    Defect(
        "parameters of one name do not share their data",
        "net/wiring.py",
        "    blob.share_data(owner.blob)\n",
        "",
        ["net sharing"],
    ),
    Defect(
        "a param's name outranks its lr_mult 0",
        "net/wiring.py",
        "needs.append(prescribed.lr_mult != 0)",
        "needs.append(prescribed.lr_mult != 0 or bool(prescribed.name))",
        ["net sharing"],
    ),
    Defect(
        "the reader of a weighted top gets the copy that holds the weight",
        "net/description.py",
        "taken[i, j] = 1",
        "taken[i, j] = 0",
        ["net losses"],
    ),
    Defect(
        "a weighted top needs no copy of its own",
        "net/description.py",
        "uses[top] = uses.get(top, 0) + 1",
        "uses[top] = uses.get(top, 0)",
        ["net losses"],
    ),
    Defect(
        "a loss that is read trains all the same",
        "net/wiring.py",
        "if graph.layer_needs_backward[i] and skip:",
        "if False:",
        ["net losses"],
    ),
    Defect(
        "propagate_down is ignored",
        "net/wiring.py",
        "list(param.propagate_down) or [blobs.needs_diff[b] for b in bottoms]",
        "[blobs.needs_diff[b] for b in bottoms]",
        ["net backward"],
    ),
    Defect(
        "propagate_down: false also stops what lies below other bottoms",
        "net/wiring.py",
        "        tops = [blobs.top(param, j)",
        "        needs = any(blobs.needs_diff[b] and p for b, p in zip(bottoms, propagate))\n"
        "        tops = [blobs.top(param, j)",
        ["net backward"],
    ),
    Defect(
        "lr_mult 0 does not spare the diff",
        "net/wiring.py",
        "needs.append(prescribed.lr_mult != 0)",
        "needs.append(True)",
        ["net backward"],
    ),
    Defect(
        "force_backward leaves out the inputs",
        "net/wiring.py",
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
