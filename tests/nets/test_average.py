"""Weights that are trained on and averaged along the way; val chooses."""

import contextlib
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import bootstrap
import caffe
from fcn import catalog
from fcn.random_weights import fill
from nets import average

NET = "toy-fcn32s"


def test_the_mean_is_built_up_step_by_step():
    taken = [dict(a=[np.full(2, float(n))], b=[np.arange(3.0) * n]) for n in (1, 5, 9)]
    mean = taken[0]
    for number, one in enumerate(taken[1:], 2):
        mean = average.mixed(mean, one, 1 / number)
    np.testing.assert_allclose(mean["a"][0], [5, 5])
    np.testing.assert_allclose(mean["b"][0], [0, 5, 10])


@pytest.mark.slow
def test_the_best_of_four_candidates_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(bootstrap.ROOT)
    data, start = str(tmp_path / "toy"), str(tmp_path / "start.caffemodel")
    make = [sys.executable, "data/toy.py", "--out", data, "--size", "64x48"]
    subprocess.check_output([*make, "--train", "6", "--val", "3"])
    net = caffe.Net(catalog.net_path(NET, "deploy"), caffe.TEST)
    fill(net)
    net.save(start)
    seen = []
    mixed = average.mixed
    monkeypatch.setattr(average, "mixed", lambda *given: seen.append(mixed(*given)) or seen[-1])
    arguments = [NET, "--weights", start, "--data", data, "--out", str(tmp_path), "--steps", "8"]
    arguments += ["--every", "2", "--display", "4", "--rate", "0.01", "--batch", "2"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert average.main(arguments) == 0
    text = out.getvalue()
    names = ["start", "last", "mean of 2", "middle of start and mean"]
    rows = re.findall(rf"^\| ({'|'.join(names)}) \| ([\d.]+) \|", text, re.M)
    assert [name for name, _ in rows] == names
    best = max(rows, key=lambda row: float(row[1]))[0]
    assert f"best on val: {best}, in " in text and "step 8: loss" in text
    written = str(tmp_path / (NET + "-averaged") / (NET + ".caffemodel"))
    found = caffe.Net(catalog.net_path(NET, "deploy"), written, caffe.TEST)
    began = caffe.Net(catalog.net_path(NET, "deploy"), start, caffe.TEST)
    mean, middle = seen  # of two kept weights, and of it and the start
    name = "score_fr"
    np.testing.assert_allclose(
        middle[name][0], (mean[name][0] + began.params[name][0].data) / 2, atol=1e-7
    )
    if best == "middle of start and mean":
        np.testing.assert_allclose(found.params[name][0].data, middle[name][0], atol=1e-7)
    assert np.isfinite(found.params[name][0].data).all()


def test_without_weights_it_says_where_they_could_be(capsys):
    here = os.getcwd()
    try:
        assert average.main([NET, "--data", "nowhere"]) == 1
    finally:
        os.chdir(here)
    assert f"{NET} has no trained weights here" in capsys.readouterr().err
