"""Scores as JSON lines: one object per scoring, in <out>/<experiment>.jsonl or scores.jsonl."""

import json
import math
import os
import time

import caffe
from atomic import write_text


def engine():
    """Which program computed: our engine says so itself, BVLC's has nothing of the kind."""
    return getattr(caffe, "__engine__", "BVLC Caffe {}".format(getattr(caffe, "__version__", "")))


def record(score, **more):
    """The fields of a result from a `score.Score`."""
    m = score.metrics
    return dict(
        more,
        engine=engine(),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        loss=_number(score.loss),
        overall_accuracy=_number(m.overall_accuracy),
        mean_accuracy=_number(m.mean_accuracy),
        mean_iu=_number(m.mean_iu),
        fwavacc=_number(m.fwavacc),
        iu=[_number(v) for v in m.iu],
        accuracy=[_number(v) for v in m.accuracy],
        pixels=int(score.hist.sum()),
    )


def _number(value):
    """JSON has no NaN: a class that does not count is null."""
    return None if math.isnan(value) else float(value)


def append(path, result):
    """Add one result, from `record`, as a line."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps(result) + "\n")


def read(path):
    """The results in a file. A last line that a full disk cut short does not count."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def forget_after(path, run, iteration):
    """Drop what `run` wrote after `iteration`: resumed there, it will score the same again."""
    kept = [r for r in read(path) if r.get("run") != run or r.get("iter", 0) <= iteration]
    if os.path.exists(path):
        write_text(path, "".join(json.dumps(r) + "\n" for r in kept))


def table(score, names=None):
    """Per-class IU as text, one class a line."""
    lines = []
    for i, iu in enumerate(score.metrics.iu):
        name = names[i] if names else f"class {i}"
        value = "absent" if math.isnan(iu) else f"{100 * iu:6.2f} %"
        lines.append(f"    {name:<16} {value}")
    return "\n".join(lines)
