"""Draws the loss of training logs of solve.py:

python benchmarks/plot_logs.py LOG [LOG ...] --out PICTURE.png
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import bootstrap
from fcn.plots import Curve, Panel, draw, smooth

LINE = re.compile(r"^Iteration (\d+), loss = \S+, loss per pixel = ([\d.]+)", re.M)


def curve(text, label):
    """The loss per pixel of a log's lines, a mean of five lines, over steps."""
    found = [(int(step), float(loss)) for step, loss in LINE.findall(text)]
    if not found:
        raise SystemExit(f"'{label}' has no line 'Iteration N, loss = …, loss per pixel = …'")
    steps, losses = zip(*found)
    return Curve(label, list(steps), smooth(list(losses), 5))


def main(argv=None):
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    p.add_argument("logs", nargs="+", type=bootstrap.user_path, metavar="LOG")
    p.add_argument("--out", required=True, type=bootstrap.user_path, metavar="PICTURE")
    args = p.parse_args(argv)
    panels = []
    for log in args.logs:
        with open(log, encoding="utf-8") as f:
            text = f.read()
        name = os.path.basename(os.path.dirname(log))
        panels.append(Panel(name, "step", "loss per pixel", [curve(text, "training")]))
    draw(args.out, panels)


if __name__ == "__main__":
    main()
