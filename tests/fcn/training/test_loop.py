"""solve.py from end to end on a few toy pictures: stages, resuming after a kill, errors."""

import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from fcn_helpers import ROOT
from training_runs import call, results, stop_at, toy_data

import caffe
from fcn.scoring import command

pytestmark = pytest.mark.slow


def ignore_hangup():
    """What nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


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


def test_a_gpu_that_is_not_there_is_one_line(tmp_path):
    if not hasattr(caffe, "__engine__"):
        return  # BVLC Caffe ends the process
    toy_data(tmp_path)
    code, text = call(tmp_path, "--gpu", "77")
    assert code == 1 and "error: --gpu 77: " in text and "set_mode" not in text, text


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
