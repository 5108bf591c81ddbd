"""The processes of nets_speed.py: what is measured and what makes the nets, one child each.

A child answers requests, one JSON line each (nets_programs.py). None can hold up the run or spoil
it: a request has a time in which it must be answered; a child that fails to is ended, and the next
request starts another.
"""

import contextlib
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(CHECKOUT, "tests", "oracle")]

import enter  # noqa: E402
from root import OracleMissing  # noqa: E402

MODULES = {"opencv": "cv2", "onnx": "onnxruntime", "openvino": "openvino"}
MODULES["openvino-bf16"] = MODULES["openvino"]
# How threads wait: each program's own default, not what this shell has for other purposes.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


class Child:
    """A process that answers requests."""

    def __init__(self, command, env):
        self._command, self._env, self._process = command, env, None

    @property
    def running(self):
        return self._process is not None

    def start(self):
        """Start the process where it is not running; it answers when it is asked."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            self._command,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
            start_new_session=True,  # with what it starts itself, torch.compile's compilers say
        )
        self._lines = queue.Queue()
        given = self._process, self._lines
        self._reader = threading.Thread(target=self._read, args=given, daemon=True)
        self._reader.start()

    @staticmethod
    def _read(process, lines):
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def ask(self, timeout, **request):
        """The child's answer, a dict; {"error": …} where it has ended, and {"error": …, "late":
        True} where it did not answer within so many seconds."""
        self.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        end = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                self.close(kill=True)
                return {"error": f"no answer within {timeout:.0f} s", "late": True}
            if line is None:
                status = self._process.wait()
                self.close()
                return {"error": f"ended with status {status}"}
            if line.startswith("ANSWER "):
                return json.loads(line[len("ANSWER ") :])
            sys.stderr.write(line)

    def close(self, kill=False):
        """End the process; with `kill` also where it is in the middle of something."""
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            _kill(process)
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
        self._reader.join(timeout=10)  # it has read to the end; a grandchild might hold that open
        if not self._reader.is_alive():
            process.stdout.close()


def _kill(process):
    """End a child and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def program(name, threads, options):
    """The child that runs a program with so many threads; raises OracleMissing."""
    script = os.path.join(HERE, "nets_programs.py")
    arguments = [name, options.work, str(threads)]
    env = {name: value for name, value in os.environ.items() if name not in WAITING}
    env.update(OMP_NUM_THREADS=str(threads), GLOG_minloglevel="2")
    command = [sys.executable, script, *arguments]
    if name == "bvlc":
        command = enter.command_line(options.root, script, arguments, [options.work])
        env = dict(enter.environment(), OPENBLAS_NUM_THREADS=str(threads))
    elif name == "engine":
        env["PYTHONPATH"] = os.path.join(CHECKOUT, "src")
    return Child(command, env)


def programs(options):
    """({(program, threads): child}, notes on what is not there)."""
    found, notes = {}, []
    for name in options.programs:
        missing = MODULES.get(name)
        if missing and importlib.util.find_spec(missing) is None:
            notes.append(f"{name} is left out: the package {missing} is not installed")
        elif name in ("onnx", "openvino") and importlib.util.find_spec("onnx") is None:
            notes.append(f"{name} is left out: the package onnx is not installed")
        else:
            try:
                for threads in options.threads:
                    found[name, threads] = program(name, threads, options)
            except OracleMissing as error:
                notes.append(f"{name} is left out: {error}")
    return found, notes


def maker(options):
    """The child that makes nets."""
    env = dict(os.environ, PYTHONPATH=os.path.join(CHECKOUT, "src"), GLOG_minloglevel="2")
    return Child([sys.executable, os.path.join(HERE, "nets_made.py"), options.work], env)
