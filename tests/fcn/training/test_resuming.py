"""Runs that were stopped or killed go on, exactly."""

import json
import os
import re
import shutil
import signal

import pytest
from fcn_helpers import ROOT
from training_runs import STEPS, call, results, start, stop_at, toy_data

from fcn.training.records import read_rows

pytestmark = pytest.mark.slow


def solve(folder, *arguments, **options):
    """Run solve.py; returns (exit code, output)."""
    process = start(folder, *arguments, **options)
    text = process.communicate()[0]
    return process.returncode, text


def weights(folder, out, experiment="toy-fcn32s"):
    with open(os.path.join(str(folder), out, experiment + ".caffemodel"), "rb") as f:
        return f.read()


def comparable(lines):
    return [{k: v for k, v in r.items() if k not in ("time", "run", "seconds")} for r in lines]


def records(folder, out):
    """{file: its bytes} of what a run leaves to look at; times left out."""
    base, found = os.path.join(str(folder), out, "toy-fcn32s"), {}
    for parent, _, files in os.walk(base):
        for name in files:
            if name.endswith((".csv", ".png", ".jpg")):
                path = os.path.join(parent, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, base)] = f.read()
    rows = read_rows(os.path.join(base, "results.csv"))
    found["results.csv"] = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    return found


def test_killed_and_resumed_is_bit_equal(tmp_path):
    toy_data(tmp_path)
    code, text = solve(tmp_path, "--steps", str(STEPS), "--out", "whole")
    assert code == 0, text
    assert "Iteration 20, loss = " in text and "images/s" in text, text
    whole = weights(tmp_path, "whole")
    scores = results(tmp_path, "whole")
    assert [r["iter"] for r in scores] == [20, 40, 45]
    assert all(r["engine"] and r["split"] == "val" and r["images"] == 3 for r in scores)
    assert len(scores[0]["iu"]) == 5
    seen = records(tmp_path, "whole")
    assert [row["step"] for row in seen["results.csv"]] == [20, 40, 45]
    assert seen["train.csv"].decode().splitlines()[0] == "step,loss,loss_per_pixel,rate"
    assert "curves.png" in seen and "samples.jpg" in seen and len(seen) > 20, list(seen)

    # Killed on the spot.
    code, text = stop_at(tmp_path, "killed", 21, signal.SIGKILL)
    assert code == -signal.SIGKILL, text
    code, text = solve(tmp_path, "--out", "killed", "--steps", str(STEPS))
    assert code == 1 and "--resume" in text and "--restart" in text, text
    code, text = solve(tmp_path, "--out", "killed", "--resume")
    assert code == 0 and "resumed from" in text, text
    assert weights(tmp_path, "killed") == whole
    assert comparable(results(tmp_path, "killed")) == comparable(scores)
    assert records(tmp_path, "killed") == seen

    # Killed, and the newest snapshot cut short besides: the one before it counts.
    code, text = stop_at(tmp_path, "cut", 21, signal.SIGKILL)
    folder = os.path.join(str(tmp_path), "cut", "toy-fcn32s")
    sidecars = [name for name in os.listdir(folder) if re.match(r"train_iter_.*json$", name)]
    newest = max(int(name[len("train_iter_") : -len(".json")]) for name in sidecars)
    with open(os.path.join(folder, f"train_iter_{newest}.caffemodel"), "r+b") as f:
        f.truncate(1000)
    code, text = solve(tmp_path, "--out", "cut", "--resume")
    assert code == 0 and f"train_iter_{newest - 7}." in text, text
    assert weights(tmp_path, "cut") == whole

    # Interrupted at whatever step it is in: that step ends, and a snapshot is taken there.
    code, text = stop_at(tmp_path, "stopped", 14, signal.SIGINT)
    assert code == 130 and "--resume continues" in text, text
    code, text = solve(tmp_path, "--out", "stopped", "--resume")
    assert code == 0, text
    assert weights(tmp_path, "stopped") == whole
    # Resumed once more, there is nothing to do.
    code, text = solve(tmp_path, "--out", "stopped", "--resume")
    assert code == 0 and weights(tmp_path, "stopped") == whole, text
    assert records(tmp_path, "stopped") == seen
    snapshots = os.listdir(os.path.join(str(tmp_path), "stopped", "toy-fcn32s"))
    assert sum(name.endswith(".solverstate") for name in snapshots) == 3, snapshots


def test_a_run_resumes_where_it_was_moved(tmp_path):
    """From another folder than the snapshot was written to, where another run's weights are now."""
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "5", "--snapshot-every", "3")
    assert code == 0, text
    whole = weights(tmp_path, "o")
    here, there = os.path.join(str(tmp_path), "o"), os.path.join(str(tmp_path), "moved")
    shutil.copytree(here, there)
    folder = os.path.join(there, "toy-fcn32s")
    for name in os.listdir(folder) + [os.path.join(os.pardir, "toy-fcn32s.caffemodel")]:
        if name.startswith("train_iter_5") or name.endswith("fcn32s.caffemodel"):
            os.remove(os.path.join(folder, name))
    code, text = call(tmp_path, "--restart", "--steps", "5", "--snapshot-every", "3", "--seed", "8")
    assert code == 0 and weights(tmp_path, "o") != whole, text
    # Neither --data nor --steps need be said again.
    code, text = solve(tmp_path, "--resume", "--out", "moved", data=False)
    assert code == 0 and "train_iter_3" in text, text
    assert weights(tmp_path, "moved") == whole


def test_zeros_in_a_snapshot_are_noticed(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "6", "--snapshot-every", "3")
    assert code == 0, text
    whole = weights(tmp_path, "o")
    folder = os.path.join(str(tmp_path), "o", "toy-fcn32s")
    path = os.path.join(folder, "train_iter_6.caffemodel")
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        f.write(bytes(1000))
    code, text = call(tmp_path, "--resume")
    assert code == 0 and "train_iter_3" in text, text
    assert weights(tmp_path, "o") == whole


def test_a_damaged_sidecar_is_one_line(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "2")
    assert code == 0, text
    path = os.path.join(str(tmp_path), "o", "toy-fcn32s", "train_iter_2.json")
    with open(path) as f:
        state = json.load(f)
    for change in ({"seed": "x"}, {"positions": []}, {"data": None}, {"losses": 3}):
        with open(path, "w") as f:
            json.dump(dict(state, **change), f)
        code, text = call(tmp_path, "--resume")
        assert code == 1 and "Traceback" not in text and next(iter(change)) in text, text
    for text in ("[]", "3", '{"sizes": 3}', "[" * 100000):
        with open(path, "w") as f:
            f.write(text)
        code, text = call(tmp_path, "--resume")
        assert code == 1 and "nothing to resume" in text, text


def test_a_cut_line_of_the_log_does_not_join_the_next(tmp_path):
    from fcn.scoring import results as lines

    path = os.path.join(str(tmp_path), "x.jsonl")
    lines.append(path, {"run": "a", "iter": 1})
    with open(path, "a") as f:
        f.write('{"run": "a", "it')
    lines.append(path, {"run": "b", "iter": 2})
    with open(path) as f:
        assert [json.loads(line) for line in f] == [
            {"run": "a", "iter": 1},
            {"run": "b", "iter": 2},
        ]
    # As earlier versions left it: joined. It is kept, and does not count.
    joined = '{"run": "a", "it{"run": "b", "iter": 3}\n'
    with open(path, "a") as f:
        f.write(joined)
    lines.append(path, {"run": "b", "iter": 4})
    assert [r["iter"] for r in lines.read(path)] == [1, 2, 4]
    lines.forget_after(path, "b", 2)
    with open(path) as f:
        assert f.read() == '{"run": "a", "iter": 1}\n{"run": "b", "iter": 2}\n' + joined


DROPOUT = """
layer { name: "data" type: "Python" top: "data" top: "label" python_param {
  module: "voc_layers" layer: "VOCSegDataLayer"
  param_str: "{'voc_dir': '%s', 'split': 'train', 'seed': 3, 'mean': (100, 100, 100)}" } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score" convolution_param {
  num_output: 21 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""


def test_dropout_is_resumed_exactly(tmp_path):
    """A run of 9 steps, and one that dies in step 7 and resumes from step 5, end alike."""
    from fcn import catalog, options
    from fcn.training import loop

    folder = str(tmp_path)
    data = toy_data(tmp_path)
    for name, text in (
        ("net.prototxt", DROPOUT % data),
        (
            "solver.prototxt",
            'test_net: "x" test_iter: 3 test_interval: 999 test_initialization: false '
            'base_lr: 1e-4 momentum: 0.9 lr_policy: "fixed"',
        ),
    ):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    row = catalog.experiment("toy-fcn32s")

    class Dies(Exception):
        pass

    class DyingRun(loop.Run):
        def _step(self, progress):
            if self.solver.iter == 6 and self.dies:
                raise Dies()
            loop.Run._step(self, progress)

    def run(out, dies, *arguments):
        first = ["--steps", "9", "--snapshot-every", "5", "--out", os.path.join(folder, out)]
        one = DyingRun(row, options.parser(row).parse_args(first + list(arguments)))
        one.dies = dies
        return one.train()

    before = catalog.net_path, catalog.solver_path, os.getcwd()
    catalog.net_path = lambda name, phase: os.path.join(folder, "net.prototxt")
    catalog.solver_path = lambda name: os.path.join(folder, "solver.prototxt")
    os.chdir(ROOT)
    try:
        assert run("whole", False) == 0
        try:
            run("dies", True)
        except Dies:
            pass
        assert run("dies", False, "--resume") == 0
        assert weights(folder, "whole") == weights(folder, "dies")
        assert run("other", False, "--seed", "5") == 0
        assert weights(folder, "whole") != weights(folder, "other")
    finally:
        catalog.net_path, catalog.solver_path = before[:2]
        os.chdir(before[2])


def test_another_number_of_threads_is_told(tmp_path, monkeypatch):
    from fcn import device

    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "2")
    assert code == 0 and "note:" not in text, text
    code, text = call(tmp_path, "--resume")
    assert code == 0 and "note:" not in text, text
    sidecar = tmp_path / "o" / "toy-fcn32s" / "train_iter_2.json"
    state = sidecar.read_text()
    sidecar.write_text(state.replace('"device": "CPU"', '"device": "\\udc80"'))
    code, text = call(tmp_path, "--resume")
    assert code == 0 and "the run began on \\udc80" in text.replace("\\\\", "\\"), text
    sidecar.write_text(state)
    monkeypatch.setattr(device, "threads", lambda: 77)
    code, text = call(tmp_path, "--resume")
    assert code == 0 and "goes on with 77 threads: the weights will agree to rounding" in text, text
