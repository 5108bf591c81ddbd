"""A worker computes as the process that starts it."""

from pathlib import Path

import pytest
from parallel_solvers import LONG, write_data

import caffe
from caffe.parallel import launch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


def test_workers_compute_as_the_process_that_starts_them(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(launch, "_supervise", lambda jobs, handler: seen.extend(jobs))
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    Path("solver.prototxt").write_text(LONG)
    caffe.set_precision("tf32")
    caffe.set_deterministic()
    try:
        launch.train_on(["cpu", "cpu"], "solver.prototxt")
    finally:
        caffe.set_precision("fp32")
        caffe.set_deterministic(False)
    assert [(job.precision, job.deterministic) for job in seen] == [("tf32", True)] * 2
