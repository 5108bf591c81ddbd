"""Scorings of val during training, and the best weights."""

import contextlib
import io
import os

import pytest
from training_runs import call, results, toy_data

from fcn.scoring import command

pytestmark = pytest.mark.slow


def test_the_best_weights_on_val_are_kept(tmp_path):
    from fcn.scoring import results as lines
    from fcn.weights import find as places

    toy_data(tmp_path)
    out = os.path.join(str(tmp_path), "o")
    code, text = call(tmp_path, "--steps", "40", "--score-every", "4", "--snapshot-every", "40")
    assert code == 0, text
    scores = results(tmp_path, "o")
    best = max(scores, key=lambda r: r["mean_iu"])
    assert best["iter"] < 40, scores  # else the test shows nothing
    toy = ["--data", os.path.join(str(tmp_path), "toy"), "--out", out]
    with contextlib.redirect_stdout(io.StringIO()):
        scored = command.run(command.parser().parse_args(["toy-fcn32s", *toy]))
    assert scored.metrics.mean_iu == best["mean_iu"]
    assert places.find(places.trained("toy-fcn32s", out), None, "").endswith("-best.caffemodel")
    run = scores[0]["run"]
    assert lines.best(os.path.join(out, "toy-fcn32s.jsonl"), run, "label") == best["mean_iu"]
