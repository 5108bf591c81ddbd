"""Builders for cases: prototxt text from dictionaries, and the usual sequence of steps.

A case is a dictionary of plain JSON values:

    name, type   "Pooling/07", "Pooling"
    net          prototxt of the whole net
    oracle_net   equivalent net for BVLC Caffe, only where that aborts on `net` itself
    phase        TRAIN or TEST
    seed         Caffe's random seed, set before the net is built; absent: not seeded
    files        files that it reads, written into its working folder; see case_files.py
    solver       prototxt of a solver without its `net` (then `net` is its training net)
    steps        what to do, in order; each has an `op`, see case_runner.py
    zero_ok      key → reason, for arrays that are rightly all zero
    tolerance    key → {absolute, reason}, where arrays may differ by other than the usual
"""

import zlib

import numpy as np

# Values that prototxt wants in quotes; other strings are enumeration names.
QUOTED = {
    "name",
    "type",
    "bottom",
    "top",
    "module",
    "layer",
    "param_str",
    "source",
    "lr_policy",
    "snapshot_prefix",
    "regularization_type",
    "file_name",
    "root_folder",
    "crop_mode",
    "mean_file",
}


class Choice:
    """Random choices for one case, from a seed made of its type and number."""

    def __init__(self, kind, number):
        self.rng = np.random.RandomState(zlib.crc32(f"{kind}/{number}".encode()))

    def int(self, lo, hi):
        """An integer in [lo, hi], ends included."""
        return int(self.rng.randint(lo, hi + 1))

    def pick(self, options):
        return options[self.int(0, len(options) - 1)]

    def yes(self, probability=0.5):
        return bool(self.rng.uniform() < probability)

    def real(self, lo, hi):
        """A number with few digits, so that its text is exact."""
        return round(float(self.rng.uniform(lo, hi)), 3)

    def seed(self):
        return self.int(0, 10**6)

    def normal(self, shape=None, scale=1, shift=0):
        return spec(shape, kind="normal", seed=self.seed(), scale=scale, shift=shift)

    def uniform(self, shape, lo, hi):
        return spec(shape, kind="uniform", seed=self.seed(), lo=lo, hi=hi)

    def ties(self, shape, lo=-2, hi=3):
        """Few distinct values: many exact ties."""
        return spec(shape, kind="integers", seed=self.seed(), lo=lo, hi=hi)

    def labels(self, shape, classes, ignore=None):
        return spec(shape, kind="labels", seed=self.seed(), classes=classes, ignore=ignore)


def spec(shape, **fields):
    return dict(fields, shape=list(shape)) if shape is not None else fields


def text(fields, indent=""):
    """Prototxt of a dictionary: lists repeat the field, dictionaries nest, None is left out."""
    lines = []
    for key, value in fields.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, dict):
                lines += [f"{indent}{key} {{\n", text(item, indent + "  "), f"{indent}}}\n"]
            elif isinstance(item, bool):
                lines.append("{}{}: {}\n".format(indent, key, "true" if item else "false"))
            elif isinstance(item, str) and key in QUOTED:
                lines.append(f'{indent}{key}: "{item}"\n')
            elif item is not None:
                lines.append(f"{indent}{key}: {item}\n")
    return "".join(lines)


def layer(kind, bottoms, tops, name="layer", **fields):
    return text(
        {
            "layer": dict(
                {"name": name, "type": kind, "bottom": list(bottoms), "top": list(tops)}, **fields
            )
        }
    )


def inputs(shapes):
    """One Input layer per blob: name → shape."""
    return "".join(
        layer("Input", [], [blob], name=blob + "_input", input_param={"shape": dims(shape)})
        for blob, shape in shapes.items()
    )


def dims(shape):
    return {"dim": list(shape)}


def net(*layers, **fields):
    fields = dict({"name": "case", "force_backward": True}, **fields)
    return text(fields) + "".join(layers)


def case(kind, number, net_text, steps, phase="TRAIN", **fields):
    found = {
        "name": f"{kind}/{number:02d}",
        "type": kind,
        "net": net_text,
        "phase": phase,
        "steps": steps,
    }
    found.update((key, value) for key, value in fields.items() if value)
    return found


def feed(arrays):
    return [{"op": "data", "blob": blob, "array": array} for blob, array in arrays.items()]


def single(
    kind,
    number,
    choice,
    bottoms,
    tops,
    *,
    params=None,
    backward=True,
    loss=False,
    no_grad=(),
    second=None,
    record=False,
    body=None,
    zero_ok=None,
    repeat=False,
    **fields,
):
    """The usual case: one layer, given bottoms, forward, given top diffs, backward.

    bottoms: blob → array description; tops: names. params: description for all parameters.
    loss: the top diffs are the loss weights and not set. no_grad: bottoms without gradient.
    second: like `bottoms` in other shapes, for a second pass through the same net.
    record: parameters are a result too (running statistics). body: layers in place of the one.
    repeat: backward twice from the same tops, to see what accumulates and what is overwritten.
    """
    extra = {key: fields.pop(key) for key in ("seed",) if key in fields}
    phase = fields.pop("phase", "TRAIN")
    layers = body or [layer(kind, bottoms, tops, **fields)]
    shapes = {blob: array["shape"] for blob, array in bottoms.items()}
    steps = [{"op": "params", "array": params}] if params else []
    for arrays in [bottoms] + ([second] if second else []):
        steps += feed(arrays) + [{"op": "forward"}]
        if record:
            steps.append({"op": "record", "what": "params"})
        if backward:
            for top in [] if loss else tops:
                steps.append({"op": "diff", "blob": top, "array": choice.normal()})
            steps += [{"op": "backward"}] * (2 if repeat else 1)
    zero_ok = dict(zero_ok or {})
    zero_ok.update(("diff/" + blob, "no gradient flows to this bottom") for blob in no_grad)
    return case(kind, number, net(inputs(shapes), *layers), steps, phase, zero_ok=zero_ok, **extra)
