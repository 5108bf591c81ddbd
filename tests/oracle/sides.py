"""The two programs that are compared, and how each runs a script or a batch of cases."""

import json
import os
import subprocess
import sys
import tempfile

import enter
import numpy as np
from root import CHECKOUT

HERE = os.path.dirname(os.path.abspath(__file__))
RUNNER = os.path.join(HERE, "case_runner.py")


class Result:
    """What one program made of one case.

    engine: the program's own name; status: "ok", "aborted: …" or "error: …"; arrays: key → float32.
    """

    def __init__(self, engine, status, arrays):
        self.engine, self.status, self.arrays = engine, status, arrays


class Bvlc:
    """Real BVLC Caffe inside the oracle's root."""

    title = "BVLC Caffe"

    def __init__(self, root):
        self.root = root

    def run(self, script, arguments, binds=(), **options):
        command = enter.command_line(self.root, script, arguments, binds)
        return subprocess.run(command, env=enter.environment(), **options)


class Engine:
    """The engine of this checkout, or of another source folder (a copy with a planted defect)."""

    title = "engine"

    def __init__(self, source=None):
        self.source = source or os.path.join(CHECKOUT, "src")

    def run(self, script, arguments, binds=(), **options):
        env = dict(os.environ, GLOG_minloglevel="2", PYTHONDONTWRITEBYTECODE="1")
        env["PYTHONPATH"] = self.source
        env.setdefault("OMP_NUM_THREADS", "1")
        command = [sys.executable, script] + [str(a) for a in arguments]
        return subprocess.run(command, env=env, **options)


def run_cases(side, cases):
    """Results of all cases, in order; a case that kills the process is recorded as aborted."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        path = os.path.join(work, "cases.json")
        with open(path, "w") as stream:
            json.dump(cases, stream)
        results = []
        while len(results) < len(cases):
            done = side.run(
                RUNNER,
                [path, work, len(results)],
                binds=[work],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            log = done.stdout.decode(errors="replace")
            while os.path.exists(result_path(work, len(results))):
                results.append(read_result(result_path(work, len(results))))
            if len(results) < len(cases):
                if not results and done.returncode not in (-6, 134):
                    raise RuntimeError(f"{side.title} did not start:\n{log}")
                status = "aborted: " + " | ".join(log.strip().splitlines()[-30:])[:2000]
                results.append(Result(side.title, status, {}))
    return results


def result_path(work, number):
    return os.path.join(work, f"{number}.npz")


def read_result(path):
    with np.load(path) as stored:
        header = json.loads(str(stored["__header__"]))
        found = {key: stored[key] for key in stored.files if key != "__header__"}
    return Result(header["engine"], header["status"], found)
