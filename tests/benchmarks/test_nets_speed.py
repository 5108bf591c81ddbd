"""benchmarks/nets_speed.py: a share for each program, peers that fail or hang, and the table."""

import argparse
import importlib
import os
import sys
import textwrap
import time

import numpy as np
import pytest
from fcn_helpers import ROOT


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setattr(sys, "path", [os.path.join(ROOT, "benchmarks"), *sys.path])


class Clock:
    """Goes on when a program computes, and at no other time."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def speed(monkeypatch):
    found = importlib.import_module("nets_speed")
    monkeypatch.setattr(Clock, "now", 0.0)
    monkeypatch.setattr(found, "time", Clock())
    return found


class Program:
    """Answers as nets_programs.py does, after as many seconds as a pass takes."""

    def __init__(self, folder, name, pass_seconds=0.001, scores=(1, 2), fails="", version="1"):
        self.path = str(folder / f"{name}.npy")
        np.save(self.path, np.float32(scores))
        self.pass_seconds, self.fails, self.version, self.asked = pass_seconds, fails, version, []

    def ask(self, timeout, do, **request):
        self.asked.append(do)
        if do == self.fails:
            return {"error": f"{do} fails"}
        Clock.now += min(self.pass_seconds, timeout)
        if self.pass_seconds > timeout:
            return {"error": "no answer", "late": True}
        answers = {
            "load": {"version": self.version, "first": self.pass_seconds},
            "scores": {"path": self.path},
            "time": {"seconds": [self.pass_seconds, 2 * self.pass_seconds]},
        }
        return answers[do]


def measured(speed, programs, share=5.0, job="forward", rounds=3, net="lenet"):
    options = argparse.Namespace(programs=list(programs), rounds=rounds, seconds=0, versions={})
    row = speed.Row(net, job, 1)
    speed.measure(row, {(name, 1): p for name, p in programs.items()}, options, share)
    return row


def test_every_round_has_each_program_once(speed, tmp_path):
    names = ("engine", "onnx", "torch")
    row = measured(speed, {n: Program(tmp_path, n) for n in names})
    assert row.seconds == {name: [0.001] * 3 for name in names} and not row.left_out
    assert row.ratios() == [1, 1, 1]


@pytest.mark.parametrize("fails", ["load", "scores", "time"])
def test_a_peer_that_fails_is_named_and_the_others_go_on(speed, tmp_path, fails):
    programs = {n: Program(tmp_path, n) for n in ("engine", "onnx", "torch")}
    programs["onnx"].fails = fails
    row = measured(speed, programs)
    assert row.left_out == {"onnx": f"{fails} fails"}
    assert len(row.seconds["engine"]) == len(row.seconds["torch"]) == 3


def test_scores_that_differ_or_have_another_shape_leave_a_peer_out(speed, tmp_path):
    programs = {n: Program(tmp_path, n) for n in ("engine", "onnx")}
    programs["torch"] = Program(tmp_path, "torch", scores=(1, 2.01))
    programs["opencv"] = Program(tmp_path, "opencv", scores=(1, 2, 3))
    row = measured(speed, programs)
    assert set(row.seconds) == {"engine", "onnx"}
    assert "differ by 0.005" in row.left_out["torch"] and "shape" in row.left_out["opencv"]
    row = measured(speed, {n: Program(tmp_path, n, scores=(0, 0)) for n in ("engine", "onnx")})
    assert not row.seconds and "all zero" in row.left_out["engine"]


def test_who_is_too_slow_for_its_share_is_left_out_and_takes_no_time(speed, tmp_path):
    programs = {n: Program(tmp_path, n) for n in ("engine", "onnx")}
    programs["bvlc"] = Program(tmp_path, "bvlc", pass_seconds=30)
    row = measured(speed, programs, share=2)
    assert Clock.now < 2
    assert row.left_out == {"bvlc": "no time"} and len(row.seconds["onnx"]) >= 2


def test_further_rounds_leave_out_the_longest_first(speed, tmp_path):
    programs = {n: Program(tmp_path, n, pass_seconds=0.01) for n in ("engine", "onnx")}
    programs["bvlc"] = Program(tmp_path, "bvlc", pass_seconds=0.2)
    row = measured(speed, programs, share=1.5, rounds=9)
    rounds = {name: len(times) for name, times in row.seconds.items()}
    assert rounds == {"engine": 9, "onnx": 9, "bvlc": 4}
    row = measured(speed, {n: programs[n] for n in ("engine", "bvlc")}, share=1.2, rounds=9)
    rounds = {name: len(times) for name, times in row.seconds.items()}
    assert rounds == {"engine": 3, "bvlc": 3}  # the engine alone has no ratio


def test_a_step_runs_where_it_can_be_and_compiling_where_it_is_quick(speed, tmp_path):
    names = ("engine", "onnx", "torch", "torch-compiled")
    assert set(measured(speed, {n: Program(tmp_path, n) for n in names}, job="step").seconds) == {
        "engine", "torch"
    }  # fmt: skip
    assert "torch-compiled" in speed.measure.__globals__["TITLES"]


def test_a_large_net_is_not_loaded_where_memory_is_short(speed, tmp_path, monkeypatch):
    left = iter([20, 8, 6])
    monkeypatch.setattr(speed, "available_gigabytes", lambda: next(left))
    programs = {n: Program(tmp_path, n) for n in ("engine", "torch", "bvlc")}
    row = measured(speed, programs, job="step", net="fcn8s")
    assert set(row.seconds) == {"engine", "torch"}
    assert row.left_out == {"bvlc": "less than 7 GB of memory were left for it"}


def test_what_takes_least_comes_first(speed):
    rows = speed.rows_of(speed.parse_arguments([]))
    assert len(rows) == len(speed.NETS) * 2 * 2
    names = [str(row) for row in rows]
    assert names[0] == "lenet forward, 2 threads" and names[-1] == "membrane-unet step, 1 thread"
    assert names.index("vgg16 forward, 1 thread") < names.index("fcn8s forward, 2 threads")


def test_with_little_time_the_last_rows_go_without(speed):
    rows = speed.rows_of(speed.parse_arguments([]))
    first, last = rows[0], rows[-1]
    assert speed.share_of(first, 8, left=5600, waiting=56) == 100  # equal shares
    assert 8 < speed.share_of(first, 8, left=100, waiting=56) < 20  # what eight programs need
    assert speed.share_of(first, 8, left=3, waiting=56) == 3
    assert speed.share_of(last, 4, left=3000, waiting=1) == 3000


def child(code):
    return importlib.import_module("nets_children").Child(
        [sys.executable, "-c", textwrap.dedent(code)], dict(os.environ)
    )


ECHO = """
    import json, sys, time
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "leave":
            sys.exit(3)
        time.sleep(request.get("seconds", 0))
        print("a word of its own", flush=True)
        print("ANSWER " + json.dumps({"did": request["do"]}), flush=True)
"""


def test_a_child_that_hangs_or_ends_is_replaced(capfd):
    it = child(ECHO)
    try:
        assert it.ask(20, do="one") == {"did": "one"}
        assert it.ask(0.2, do="two", seconds=60) == {"error": "no answer within 0 s", "late": True}
        assert it.ask(20, do="three") == {"did": "three"}
        assert it.ask(20, do="leave") == {"error": "ended with status 3"}
        assert it.ask(20, do="four") == {"did": "four"}
    finally:
        it.close(kill=True)
    assert "a word of its own" in capfd.readouterr().err


def row_of(speed, net, job="forward", **seconds):
    row = speed.Row(net, job, 1)
    row.seconds = {name.replace("_", "-"): times for name, times in seconds.items()}
    row.begun = True
    return row


def test_the_ratio_is_that_of_a_rounds_fastest_peer(speed):
    row = row_of(speed, "lenet", engine=[2, 2, 4], onnx=[1, 6, 12], torch=[3, 3])
    assert row.ratios() == [0.5, 1.5, 3] and row.best_peer() == "onnx"
    assert row.ratios(("torch",)) == [1.5, 1.5]
    assert row_of(speed, "lenet", engine=[1]).ratios() == []


def test_the_table_has_reasons_only_where_the_engine_is_behind(speed, monkeypatch):
    table = importlib.import_module("nets_table")
    reasons = {("lenet", "forward"): "tiny", ("alexnet", "forward"): "x"}
    monkeypatch.setattr(
        table, "REASONS", {"amx": reasons, "": {("vgg16", "forward"): "other kind"}}
    )
    rows = [
        row_of(speed, "lenet", engine=[2e-3], onnx=[1e-3]),
        row_of(speed, "alexnet", engine=[1e-3], onnx=[2e-3]),
        row_of(speed, "vgg16", engine=[2e-3], onnx=[1e-3]),
    ]
    rows[1].left_out = {"torch": "no time", "opencv": "broke"}
    for row in rows:
        row.kind = "amx"
    lines = table.table(rows, list(table.TITLES))
    assert lines[0] == (
        "| ms | engine | ONNX Runtime | PyTorch | OpenCV | best peer over engine | why not 1 |"
    )
    assert lines[2].endswith("| 0.50 (0.50 to 0.50), ONNX Runtime | tiny |")
    assert lines[3] == (
        "| alexnet | 1.00 (1.00) | 2.00 (2.00) | no time | failed | "
        "2.00 (2.00 to 2.00), ONNX Runtime |  |"
    )
    assert lines[4].endswith("| not looked into |")
    assert table.summary(rows) == ["of 3 nets 1 have a ratio of 1.0 or more, 1 of 1.3 or more"]


def test_the_report_names_what_did_not_come_to_be_measured(speed):
    options = speed.parse_arguments(
        ["--nets", "lenet", "--limit", "9", "--threads", "1", "--write"]
    )
    done, missing = (
        row_of(speed, "lenet", engine=[1e-3], bvlc=[3e-3]),
        speed.Row("lenet", "step", 1),
    )
    done.left_out = {"onnx": "broke"}
    text = speed.report([done, missing], ["a note"], options, 0.5, "9 seconds were over")
    assert "## Forward, 1 thread" in text and "- a note" in text
    assert "- lenet forward, 1 thread: ONNX Runtime: broke" in text
    assert "- not measured (9 seconds were over): lenet step, 1 thread" in text
    assert "`python benchmarks/nets_speed.py --nets lenet --limit 9 --threads 1`" in text


def test_bfloat16_has_rows_of_its_own_and_is_no_peer_of_float32(speed, tmp_path):
    names = ("engine", "openvino", "engine-bf16", "openvino-bf16")
    programs = {n: Program(tmp_path, n) for n in names}
    assert set(measured(speed, programs).seconds) == {"engine", "openvino"}
    programs["openvino-bf16"] = Program(tmp_path, "near", pass_seconds=0.002, scores=(1, 2.1))
    row = measured(speed, programs, job="bf16")
    assert list(row.seconds) == ["engine-bf16", "openvino-bf16"]
    assert row.ratios() == [2, 2, 2] and row.best_peer() == "openvino-bf16"
    programs["openvino-bf16"] = Program(tmp_path, "far", scores=(1, 2.3))
    assert "scores differ" in measured(speed, programs, job="bf16").left_out["openvino-bf16"]


def test_bfloat16_runs_where_it_is_named(speed):
    few = "--nets lenet --threads 1".split()
    options = speed.parse_arguments(few)
    assert {row.job for row in speed.rows_of(options)} == {"forward", "step"}
    options = speed.parse_arguments([*few, "--programs", "engine-bf16,openvino-bf16"])
    rows = speed.rows_of(options)
    assert [row.job for row in rows] == ["bf16"]
    rows[0].begun, rows[0].seconds = True, {"engine-bf16": [1e-3], "openvino-bf16": [3e-3]}
    text = speed.report(rows, [], options, 0.5, "")
    assert "## Forward, bfloat16 allowed, 1 thread" in text and "## Forward, 1" not in text
    assert "| lenet | 1.00 (1.00) | 3.00 (3.00) | 3.00 (3.00 to 3.00), OpenVINO, bf16 |" in text


@pytest.mark.slow
def test_a_run_from_nets_to_table_keeps_within_its_limit(tmp_path):
    import subprocess

    command = [sys.executable, os.path.join(ROOT, "benchmarks", "nets_speed.py"), "--quick"]
    more = "--limit 40 --nets lenet --programs engine,torch --threads 1 --jobs forward".split()
    start = time.monotonic()
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 45
    assert "lenet forward, 1 thread [ms]: engine" in done.stdout
    assert "| lenet |" in done.stdout and "best peer over engine" in done.stdout
