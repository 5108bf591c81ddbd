"""gpu_check.py itself: sections that hold, fail, crash, hang or find no time; and a rehearsal."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
from fcn_helpers import ROOT

pytestmark = pytest.mark.slow

BENCHMARKS = os.path.join(ROOT, "benchmarks")


@pytest.fixture
def command(monkeypatch):
    """The module of benchmarks/gpu_check.py."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("GLOG_minloglevel", "2")
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location(
        "gpu_check", os.path.join(BENCHMARKS, "gpu_check.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sections(command, monkeypatch):
    """A function that replaces the sections by functions of a record."""
    from gpu_sections import Section

    def install(**functions):
        monkeypatch.setattr(command, "SECTIONS", {})
        for name, (run, options) in functions.items():
            command.SECTIONS[name] = Section(name, **dict({"limit": 30}, **options))
            module = types.ModuleType("gpu_sections." + name)
            module.run = run
            monkeypatch.setitem(sys.modules, module.__name__, module)
        for user in ("gpu_sections.schedule",):
            monkeypatch.setattr(sys.modules[user], "SECTIONS", command.SECTIONS)

    return install


def holds(record):
    record.check("sum", 1 + 1 == 2, "figures of it")


def fails(record):
    record.check("first", True)
    record.check("second", False, "differs by 3")


def raises(record):
    record.check("before", True)
    raise ValueError("a section's own error")


def is_killed(record):
    record.check("before", True)
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(record):
    record.check("before", True)
    time.sleep(60)


def run(command, tmp_path, *arguments):
    """(exit status, {section: what the JSON says}, the markdown)."""
    status = command.main(["--device", "cpu", "--out", str(tmp_path), *arguments])
    found = json.loads((tmp_path / "gpu_check.json").read_text())
    named = {section["name"]: section for section in found["sections"]}
    return status, named, (tmp_path / "gpu_check.md").read_text()


def test_a_section_that_dies_leaves_the_others(command, sections, tmp_path, capfd):
    sections(
        good=(holds, {}),
        bad=(fails, {}),
        raising=(raises, {}),
        killed=(is_killed, {}),
        hanging=(hangs, {"limit": 1}),
        timed=(holds, {"alone": True}),
    )
    status, found, markdown = run(command, tmp_path)
    verdicts = {name: section["verdict"] for name, section in found.items()}
    assert status == 1
    assert verdicts["good"] == verdicts["timed"] == "holds"
    assert verdicts["bad"] == "FAILS: 1 of 2"
    assert verdicts["raising"] == "FAILS: 1 of 2"
    assert "a section's own error" in found["raising"]["checks"][1]["text"]
    assert verdicts["killed"] == "FAILS: died of SIGKILL"
    assert verdicts["hanging"].startswith("FAILS: was ended after 1 s")
    for name in ("killed", "hanging"):  # what was found before is kept
        assert found[name]["checks"][0]["name"] == "before"
    assert "figures of it" in markdown
    printed = capfd.readouterr().out
    assert "second: FAILS differs by 3" in printed
    assert printed.rstrip().endswith("a rehearsal: nothing here is about a GPU's numerics or times")


def test_all_holds(command, sections, tmp_path):
    sections(good=(holds, {"parts": 3}))
    status, found, _ = run(command, tmp_path)
    assert status == 0
    assert len(found["good"]["checks"]) == 3


def test_what_does_not_fit_is_not_run(command, sections, tmp_path, capfd):
    sections(good=(holds, {}), late=(holds, {}))
    status, found, _ = run(command, tmp_path, "--limit", "3")
    assert status == 1
    assert {section["verdict"] for section in found.values()} == {"not run"}
    assert "not run" in capfd.readouterr().out


def test_a_section_without_a_check_does_not_hold(command, sections, tmp_path):
    sections(empty=(lambda record: record.report("a time", "3 ms"), {}))
    status, found, _ = run(command, tmp_path)
    assert status == 1
    assert found["empty"]["verdict"] == "FAILS: nothing was checked"


def test_a_command_that_is_ended_writes_what_it_has(command, sections, tmp_path, capfd):
    """As a caller's time limit does it: children are ended, the report and the table are whole."""
    sections(good=(holds, {}), hanging=(hangs, {}), late=(holds, {"alone": True}))
    alarm = threading.Timer(3, os.kill, (os.getpid(), signal.SIGTERM))
    alarm.start()
    began = time.monotonic()
    status, found, markdown = run(command, tmp_path, "--processes", "2")
    assert status == 1 and time.monotonic() - began < 20
    assert found["good"]["verdict"] == "holds"
    assert "with the command" in found["hanging"]["verdict"]
    assert found["hanging"]["checks"][0]["name"] == "before"
    assert found["late"]["verdict"] == "not run"
    assert "figures of it" in markdown
    printed = capfd.readouterr().out
    assert "stopped by SIGTERM" in printed and "NOT every section holds" in printed
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_child_that_does_not_die_holds_nobody_up(command, sections, tmp_path, monkeypatch):
    """A driver can keep a process that was killed; the time limit counts all the same."""
    from gpu_sections import schedule

    sections(hanging=(hangs, {"limit": 1}), good=(holds, {}))
    monkeypatch.setattr(schedule, "PATIENCE", 1)
    kill, killed = os.kill, []
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", lambda pid, number: killed.append(pid))
        status, found, _ = run(command, tmp_path, "--processes", "1", "--limit", "30")
    kill(max(killed), signal.SIGKILL)
    os.waitpid(max(killed), 0)
    assert found["hanging"]["verdict"].startswith("FAILS: was ended after 1 s")
    assert (status, found["good"]["verdict"]) == (1, "holds")


@pytest.mark.parametrize(("gigabytes", "slots"), [(85, 5), (24, 2), (8, 1), (None, 5)])
def test_no_more_processes_than_a_card_has_memory_for(command, monkeypatch, gigabytes, slots):
    from gpu_sections import schedule

    monkeypatch.setattr(schedule, "memory_of_the_smallest_card", lambda: gigabytes)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert schedule.Schedule(command.parse([])).slots == slots
    assert schedule.Schedule(command.parse(["--processes", "7"])).slots == 7


def test_what_a_trace_says_of_waits_and_bytes(command):
    from gpu_sections.traffic import SPAN, of_trace

    def event(name, category, at, **given):
        return {"name": name, "cat": category, "ts": at, "dur": 1, "args": given}

    pinned, pageable = (f"Memcpy HtoD ({kind} -> Device)" for kind in ("Pinned", "Pageable"))
    inside = [
        {"name": SPAN, "cat": "user_annotation", "ts": 10, "dur": 20},
        event("cudaMemcpyAsync", "cuda_runtime", 11, correlation=1),
        event(pinned, "gpu_memcpy", 40, correlation=1, bytes=600),  # it ends later: it counts
        event("cudaMalloc", "cuda_runtime", 12, correlation=2),
        event("cudaDeviceSynchronize", "cuda_runtime", 35, correlation=3),  # the profiler's own
        event(pinned, "gpu_memcpy", 15, correlation=9, bytes=5),  # asked for before
    ]
    found = of_trace(inside)
    assert (found.up, found.down, found.waits, found.allocations) == (600, 0, {}, 1)
    assert found.seen and not found.waited()
    for waiting in ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaFree"):
        assert of_trace([*inside, event(waiting, "cuda_runtime", 13)]).waits == {waiting: 1}
    found = of_trace([*inside, event(pageable, "gpu_memcpy", 20, correlation=1, bytes=8)])
    assert found.waits == {pageable: 1} and found.up == 608
    found = of_trace(
        [*inside, event("Memcpy DtoH (Device -> Pinned)", "gpu_memcpy", 20, correlation=1, bytes=4)]
    )
    assert found.down == 4 and not found.waits
    assert not of_trace([]).seen and not of_trace(inside[:1]).seen


def test_an_unknown_section_is_refused(command, capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "golden,sped"])
    assert "unknown section 'sped'; sections: environment" in capsys.readouterr().err


def test_without_a_gpu_it_says_so(command, tmp_path):
    """On a machine without a GPU every section fails, in words, and quickly."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = rehearse(tmp_path, "gpu", "environment")
    assert done.returncode == 1
    assert "GPU mode was asked for, but PyTorch sees no GPU" in done.stdout


def test_the_table_fits_what_a_caller_sees(command):
    from gpu_sections import report

    checks = [
        {"name": f"check {n}", "verdict": ("holds", "FAILS", "")[n % 3], "text": "words " * 60}
        for n in range(900)
    ]
    section = report.merged(
        "golden",
        "Golden",
        [{"checks": checks, "facts": {}, "finished": True, "seconds": 3, "status": "ended"}],
    )
    found = {"device": "gpu", "quick": False, "seconds": 9, "limit": 280, "sections": [section]}
    table = report.table(found)
    assert len(table) < 12_000
    assert "check 1: FAILS" in table
    assert table.rstrip().endswith("NOT every section holds: see above")


def rehearse(tmp_path, device, sections):
    return subprocess.run(
        [sys.executable, os.path.join(BENCHMARKS, "gpu_check.py"), "--device", device, "--quick"]
        + ["--only", sections, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
    )


def test_rehearsal_on_the_pretend_gpu(tmp_path):
    done = rehearse(tmp_path, "pretend", "environment,inference")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    names = sorted(os.listdir(tmp_path))
    assert names == ["gpu_check.json", "gpu_check.log", "gpu_check.md"]


def test_the_page_names_every_section(command):
    with open(os.path.join(ROOT, "docs", "gpu.md"), encoding="utf-8") as page:
        table = page.read().split("| section | it holds if |")[1].split("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.M) == list(command.SECTIONS)


def test_the_costliest_kernels_are_named_with_their_sums(command):
    from gpu_sections.timing import COSTLIEST, costliest

    found = costliest([("a|b", 500.0), ("gemm", 1500.0), ("a|b", 250.0)])
    assert found == "2.25 ms in all: 1.500 ms (1) gemm; 0.750 ms (2) a/b"
    assert costliest([(str(k), k) for k in range(40)]).count(";") == COSTLIEST - 1
