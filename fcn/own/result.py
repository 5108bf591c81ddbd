"""What train.py says at the end: what was reached, where it is, and how it is used."""

import os

import bootstrap
from bootstrap import shown, typed
from fcn.report.command import write
from fcn.training import records

__all__ = ["script", "tell"]


def script(name: str) -> str:
    """A command of the repository, as it would be typed here."""
    return typed(os.path.join(bootstrap.ROOT, name))


def tell(out: str) -> int:
    """Print the IU of each class and what to do with the net in `out`; the exit code."""
    name = os.path.basename(out)
    folder = os.path.join(out, "out", name)
    rows = records.read_rows(os.path.join(folder, records.RESULTS))
    best = max(rows, key=lambda row: (row["mean_iu"] or 0, -row["step"]))
    print(f"of the best weights, those of step {best['step']}:")
    for key, value in best.items():
        if key.startswith("iu_"):
            text = "absent" if value is None else f"{100 * value:6.2f} %"
            print(f"    {key[len('iu_') :]:<24} {text}")
    where = typed(out)
    print(
        f"reached:  mean IU {100 * best['mean_iu']:.1f} %, pixel accuracy "
        f"{100 * best['overall_accuracy']:.1f} % on images that were not trained on"
    )
    print(f"weights:  {shown(os.path.join(out, 'out', name + '-best.caffemodel'))}")
    print(f"curves:   {shown(os.path.join(folder, records.CURVES))}; pictures: samples.jpg beside")
    print(f"report:   {shown(write([out]))}: open it in a browser")
    print(f"use it:   python {script('infer.py')} photo.jpg --net {where}")
    return 0
