"""gpu_check.py itself: sections that hold, fail, crash, hang or find no time; and a rehearsal."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
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


def test_the_costliest_kernels_are_named_with_their_sums(command):
    from gpu_sections.timing import COSTLIEST, costliest

    found = costliest([("a|b", 500.0), ("gemm", 1500.0), ("a|b", 250.0)])
    assert found == "2.25 ms in all: 1.500 ms (1) gemm; 0.750 ms (2) a/b"
    assert costliest([(str(k), k) for k in range(40)]).count(";") == COSTLIEST - 1
