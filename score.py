"""Scores of a segmentation net over a data set, from one integer histogram.

`seg_tests`, `do_seg_tests`, `compute_hist` and `fast_hist` have the names, arguments and printed
lines of the published FCN code. The measures: `fcn/scoring/metrics.py`.

On the command line, scores a trained experiment:  python score.py voc-fcn8s [--split NAME]
"""

from fcn.scoring.evaluate import (
    compute_hist,
    do_seg_tests,
    evaluate,
    seg_tests,
    share_weights,
)
from fcn.scoring.metrics import Metrics, Score, fast_hist, metrics

__all__ = [
    "Metrics",
    "Score",
    "compute_hist",
    "do_seg_tests",
    "evaluate",
    "fast_hist",
    "metrics",
    "seg_tests",
    "share_weights",
]

if __name__ == "__main__":
    import sys

    from fcn.console import exit_code
    from fcn.scoring import command

    sys.exit(exit_code(command.main))
