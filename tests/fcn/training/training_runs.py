"""Runs of solve.py on toy data: started, stopped, and what they wrote."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

from fcn_helpers import ROOT

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
