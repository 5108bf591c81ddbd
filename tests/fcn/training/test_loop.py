"""solve.py from end to end on a few toy pictures: stages, resuming after a kill, errors."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fcn_helpers import ROOT

import caffe
from caffe.proto import caffe_pb2
from fcn.scoring import command
from fcn.training.records import read_rows

pytestmark = pytest.mark.slow

STEPS = 45


def toy_data(folder):
    """Eight pictures to train on and three to score, 64×48, in folder/toy."""
    path = os.path.join(str(folder), "toy")
    subprocess.check_output(
        [sys.executable, os.path.join(ROOT, "data", "toy.py"), "--out", path]
        + ["--train", "8", "--val", "3", "--size", "64x48"]
    )
    return path


def hear_signals():
    """Undo what a child inherits: these tests may run under nohup or in a script's background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ignore_hangup():
    """What nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def start(folder, *arguments, **options):
    """Start solve.py in a directory that is not the repository's."""
    experiment = options.get("experiment", "toy-fcn32s")
    command = [sys.executable, os.path.join(ROOT, "nets", experiment, "solve.py")]
    command += ["--data", "toy"] if options.get("data", True) else []
    command += ["--score-every", "20", "--snapshot-every", "7"] + list(arguments)
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    return subprocess.Popen(
        command,
        cwd=str(folder),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        preexec_fn=options.get("preexec_fn", hear_signals),
    )


def solve(folder, *arguments, **options):
    """Run solve.py; returns (exit code, output)."""
    process = start(folder, *arguments, **options)
    text = process.communicate()[0]
    return process.returncode, text


def call(folder, *arguments, **options):
    """solve() in this process, which is faster: `folder` is put before relative paths."""
    from fcn.training import loop

    first = ["--data", os.path.join(str(folder), "toy"), "--out", os.path.join(str(folder), "o")]
    before, out = os.getcwd(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = loop.main(options.get("experiment", "toy-fcn32s"), first + list(arguments))
    finally:
        os.chdir(before)
    return code, out.getvalue()


def weights(folder, out, experiment="toy-fcn32s"):
    with open(os.path.join(str(folder), out, experiment + ".caffemodel"), "rb") as f:
        return f.read()


def stop_at(folder, out, iteration, number, **options):
    """Start a run and signal it once it has a snapshot of `iteration`; returns (code, output)."""
    process = start(folder, "--steps", str(STEPS), "--out", out, **options)
    sidecar = os.path.join(str(folder), out, "toy-fcn32s", f"train_iter_{iteration}.json")
    deadline = time.time() + 300
    while not os.path.exists(sidecar):
        assert process.poll() is None and time.time() < deadline, process.communicate()[0]
        time.sleep(0.002)
    process.send_signal(number)
    text = process.communicate()[0]
    return process.returncode, text


def results(folder, out, experiment="toy-fcn32s"):
    with open(os.path.join(str(folder), out, experiment + ".jsonl")) as f:
        return [json.loads(line) for line in f]


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


def test_stages_follow_each_other(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, experiment="toy-fcn16s")
    assert code == 1 and "toy-fcn32s.caffemodel" in text, text
    assert "python nets/toy-fcn32s/solve.py" in text, text
    for streams, fresh in (("32s", None), ("16s", "score_pool4"), ("8s", "score_pool3")):
        experiment = "toy-fcn" + streams
        code, text = call(tmp_path, "--steps", "3", experiment=experiment)
        assert code == 0, text
        if fresh:
            assert f"left at their filler: {fresh}\n" in text, text
    net = caffe.Net(
        os.path.join(ROOT, "nets", "toy-fcn8s", "deploy.prototxt"),
        os.path.join(str(tmp_path), "o", "toy-fcn8s.caffemodel"),
        caffe.TEST,
    )
    assert np.isfinite(net.forward()["score"]).all()
    score = [sys.executable, os.path.join(ROOT, "score.py"), "toy-fcn8s", "--data", "toy"]
    text = subprocess.check_output(
        score + ["--out", "o", "--split", "train", "--save", "seen"], cwd=str(tmp_path)
    ).decode()
    assert "mean IU" in text and "triangle" in text, text
    assert len(os.listdir(os.path.join(str(tmp_path), "seen"))) == 8
    with open(os.path.join(str(tmp_path), "o", "scores.jsonl")) as f:
        last = json.loads(f.read())
    assert last["split"] == "train" and last["images"] == 8 and last["engine"], last


def test_not_a_number_stops_the_run(tmp_path):
    toy_data(tmp_path)
    net = caffe.Net(os.path.join(ROOT, "nets", "toy-fcn32s", "deploy.prototxt"), caffe.TEST)
    net.params["score_fr"][0].data[0, 0] = np.nan
    bad = os.path.join(str(tmp_path), "bad.caffemodel")
    net.save(bad)
    code, text = call(tmp_path, "--weights", bad)
    assert code == 1 and "error: " in text and "at step 1 of" in text, text
    assert "base_lr" in text and "Traceback" not in text, text
    assert not os.path.exists(os.path.join(str(tmp_path), "o", "toy-fcn32s.caffemodel"))


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


def test_a_run_is_not_lost_to_a_mistake(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "6", "--snapshot-every", "2")
    assert code == 0, text
    final = os.path.join(str(tmp_path), "o", "toy-fcn32s.caffemodel")
    folder = os.path.join(str(tmp_path), "o", "toy-fcn32s")
    with open(final, "rb") as f:
        good = f.read()
    # Killed between the last snapshot and the final weights: as unfinished as any other.
    os.remove(final)
    before = sorted(os.listdir(folder))
    for arguments, words in (
        ((), "step 6 of 6: continue it with --resume"),
        (("--restart", "--weights", os.path.join(ROOT, "README.md")), "README.md"),
        (("--resume", "--steps", "5"), "at step 6 already"),
        (("--resume", "--seed", "5"), "leave out"),
        (("--resume", "--weights", "x.caffemodel"), "leave out"),
    ):
        code, text = call(tmp_path, *arguments)
        assert code == 1 and words in text and "Traceback" not in text, (arguments, text)
        assert sorted(os.listdir(folder)) == before, arguments
    # A line of the log that a full disk cut short is no reason to stop either.
    with open(os.path.join(str(tmp_path), "o", "toy-fcn32s.jsonl"), "a") as f:
        f.write('{"iter": 6, "lo')
    code, text = call(tmp_path, "--resume")
    assert code == 0, text
    with open(final, "rb") as f:
        assert f.read() == good
    assert [r["iter"] for r in results(tmp_path, "o")] == [6]


def contents(folder):
    """{path: bytes} of all files below a folder."""
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as f:
                found[os.path.join(base, name)] = f.read()
    return found


def test_a_finished_run_is_kept(tmp_path):
    toy_data(tmp_path)
    out = os.path.join(str(tmp_path), "o")
    code, text = call(tmp_path, "--steps", "4", "--snapshot-every", "2", "--score-every", "2")
    assert code == 0, text
    before = contents(out)
    assert not any(path.endswith(".lock") for path in before), list(before)
    code, text = call(tmp_path, "--steps", "2")
    assert code == 1 and "finished run (4 steps, mean IU 0." in text, text
    assert "--out" in text and "--restart" in text and "--resume --steps" in text, text
    assert contents(out) == before
    # Weights alone, whose run's folder is gone, are a result too.
    shutil.move(os.path.join(out, "toy-fcn32s"), os.path.join(str(tmp_path), "aside"))
    code, text = call(tmp_path, "--steps", "2")
    assert code == 1 and "finished run" in text, text


def test_a_restart_takes_the_place_of_a_run_only_when_it_has_its_own(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "6", "--snapshot-every", "3")
    assert code == 0, text
    before = contents(os.path.join(str(tmp_path), "o"))
    # It ends before its first snapshot: the earlier run can go on.
    net = caffe.Net(os.path.join(ROOT, "nets", "toy-fcn32s", "deploy.prototxt"), caffe.TEST)
    net.params["score_fr"][0].data[0, 0] = np.nan
    bad = os.path.join(str(tmp_path), "bad.caffemodel")
    net.save(bad)
    code, text = call(tmp_path, "--restart", "--weights", bad)
    assert code == 1 and "at step 1 of" in text, text
    after = contents(os.path.join(str(tmp_path), "o"))
    assert {
        p: b for p, b in after.items() if "train_iter" in p or p.endswith("fcn32s.caffemodel")
    } == {p: b for p, b in before.items() if "train_iter" in p or p.endswith("fcn32s.caffemodel")}
    # One that is stopped at its step 2 is what goes on, not the earlier one's step 6.
    from fcn.training.snapshots import Snapshots

    code, text = call(tmp_path, "--restart", "--steps", "2", "--snapshot-every", "1", "--seed", "8")
    assert code == 0, text
    path, state = Snapshots(os.path.join(str(tmp_path), "o", "toy-fcn32s")).newest()
    assert state["iter"] == 2 and state["seed"] == 8
    names = os.listdir(os.path.dirname(path))
    assert not any("iter_6" in name or "iter_3" in name for name in names), names


def test_the_best_weights_on_val_are_kept(tmp_path):
    from fcn.scoring import command
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


def test_two_runs_do_not_share_a_folder(tmp_path):
    from fcn.lock import locked

    toy_data(tmp_path)
    os.makedirs(os.path.join(str(tmp_path), "o"))
    with locked(os.path.join(str(tmp_path), "o", "toy-fcn32s.lock"), "held by the test"):
        code, text = call(tmp_path, "--steps", "2")
    assert code == 1 and "another run of toy-fcn32s" in text and "--out" in text, text
    assert os.listdir(os.path.join(str(tmp_path), "o")) == []
    code, text = call(tmp_path, "--steps", "2")
    assert code == 0, text


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


def test_huge_numbers_are_refused(tmp_path, capsys):
    from fcn.training import loop

    for option in ("--seed", "--steps", "--gpu"):
        try:
            loop.main("toy-fcn32s", [option, "9" * 5000])
        except SystemExit as end:
            assert end.code == 2
        else:
            raise AssertionError(option)
        assert "2147483647" in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path):
    for arguments, words in (
        (("--resume",), "nothing to resume"),
        (("--data", "here", "there"), "--data needs 1"),
        (("--data", "nowhere"), "nowhere"),
        (("--weights", "gone.caffemodel"), "gone.caffemodel"),
    ):
        code, text = call(tmp_path, *arguments)
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert code == 1 and len(errors) == 1 and words in errors[0], (arguments, text)
        assert "Traceback" not in text, text


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


def test_folders_may_have_any_letters(tmp_path):
    """Umlauts, quotes, blanks: in --data, --out, and what is written to prototxts."""
    folder = tmp_path / 'Ärger "über" 데이터'
    folder.mkdir()
    toy_data(folder)
    code, text = call(folder, "--steps", "2")
    assert code == 0, text
    toy = ["--data", os.path.join(str(folder), "toy"), "--out", os.path.join(str(folder), "o")]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert command.main(["toy-fcn32s", *toy]) == 0, out.getvalue()


def test_what_is_planned_and_what_comes_next_is_told(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "4", "--score-every", "2")
    assert code == 0, text
    assert "8 images to train on, 3 to validate; 4 steps of 4 are 2.0 epochs; results go to" in text
    assert "val at step 2: mean IU 0." in text and "val at step 4: mean IU 0." in text, text
    assert ", epoch 2.00, 0:00 left" in text and ">>>" not in text, text
    assert "the best on val: mean IU 0." in text, text
    following = [line for line in text.splitlines() if "next: " in line or "  or: " in line]
    assert "score.py toy-fcn32s --data " in following[0] and "--out " in following[0], text
    assert "infer.py photo.jpg --net toy-fcn32s --weights " in following[1], text
    folder = str(tmp_path)
    words = shlex.split(following[0].split("next: python ")[1])
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, words[0])] + words[1:],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0 and "mean IU" in done.stdout, done.stdout
    with open(os.path.join(folder, "o", "scores.jsonl")) as f:
        assert json.loads(f.read())["split"] == "val"


def test_training_goes_on_when_nobody_reads_it(tmp_path):
    toy_data(tmp_path)
    solve_py = os.path.join(ROOT, "nets", "toy-fcn32s", "solve.py")
    for i, where in enumerate(("| head -n 1", ">&- 2>&-", ">/dev/full 2>/dev/full")):
        out = os.path.join(str(tmp_path), f"out{i}")
        line = f'"{sys.executable}" "{solve_py}" --data toy --out "{out}" --steps 25 {where}'
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=str(tmp_path),
            capture_output=True,
            text=True,
        )
        assert os.path.exists(os.path.join(out, "toy-fcn32s.caffemodel")), (where, done)
        assert "Traceback" not in done.stderr, done.stderr


def test_a_closed_terminal_is_a_request_to_stop(tmp_path):
    toy_data(tmp_path)
    code, text = stop_at(tmp_path, "hung-up", 7, signal.SIGHUP)
    assert code == 128 + signal.SIGHUP and "with a snapshot" in text, text


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path):
    toy_data(tmp_path)
    code, text = stop_at(tmp_path, "nohup", 7, signal.SIGHUP, preexec_fn=ignore_hangup)
    assert code == 0 and "with a snapshot" not in text, text


def test_weights_of_another_number_of_classes(tmp_path):
    toy_data(tmp_path)
    code, text = call(tmp_path, "--steps", "1")
    assert code == 0, text
    other = os.path.join(str(tmp_path), "other.caffemodel")
    message = caffe_pb2.NetParameter()
    with open(os.path.join(str(tmp_path), "o", "toy-fcn32s.caffemodel"), "rb") as f:
        message.ParseFromString(f.read())
    for layer in message.layer:
        if layer.name == "score_fr":
            layer.blobs[0].data.extend(list(layer.blobs[0].data))
            layer.blobs[0].shape.dim[0] *= 2
    with open(other, "wb") as f:
        f.write(message.SerializeToString())
    code, text = call(tmp_path, "--restart", "--steps", "1", "--weights", other)
    assert code == 1 and "--replace-scores" in text and "score_fr" in text, text
    code, text = call(tmp_path, "--restart", "--steps", "1", "--weights", other, "--replace-scores")
    assert code == 0, text
    assert "score_fr" in text.split("left at their filler:")[1].splitlines()[0], text


def test_a_gpu_that_is_not_there_is_one_line(tmp_path):
    if not hasattr(caffe, "__engine__"):
        return  # BVLC Caffe ends the process
    toy_data(tmp_path)
    code, text = call(tmp_path, "--gpu", "77")
    assert code == 1 and "error: --gpu 77: " in text and "set_mode" not in text, text


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


def test_a_damaged_prototxt_is_one_line(tmp_path, monkeypatch):
    from fcn import catalog

    toy_data(tmp_path)
    for text in (b'name: "\xff"', b"layer { type }", b"layer {" * 5000):
        (tmp_path / "net.prototxt").write_bytes(text)
        monkeypatch.setattr(catalog, "net_path", lambda *_: str(tmp_path / "net.prototxt"))
        code, told = call(tmp_path, "--steps", "2")
        assert code == 1 and "is no NetParameter as a prototxt" in told, told
        assert told.count("\n") < 4, told


def test_bytes_that_are_no_utf8_are_refused_where_a_prototxt_must_hold_them(capsys):
    from fcn.training import loop

    for option in ("--data", "--out", "--weights"):
        try:
            loop.main("toy-fcn32s", [option, "a\udcffb"])
        except SystemExit as end:
            assert end.code == 2
        else:
            raise AssertionError(option)
        assert "are no UTF-8" in capsys.readouterr().err
