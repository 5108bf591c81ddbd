"""Runs the sections' processes: several at a time, those that measure times alone at the end.

The parent imports PyTorch and the engine once and forks, which saves each child some seconds; it
never touches the GPU itself, so a child starts CUDA afresh. A child that cannot replaces itself by
a fresh interpreter.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

from gpu_sections import SECTIONS, report
from gpu_sections.record import Record

__all__ = ["Schedule", "run_part"]

CORES_PER_PROCESS = 3
#: Share of the limit after which sections that run side by side must leave time to the others.
SIDE_BY_SIDE = 0.55
LEAST = 4  # seconds: with less left, nothing is started
PATIENCE = 5  # seconds that a killed process may take to go; a driver can hold one for ever
ROOM = 10  # GB of a card's memory for each process
LOG_TAIL = 1500
COMMAND = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gpu_check.py")


def cuda_starts():
    """Whether CUDA works in this forked process; it does not if the parent has used it already."""
    import torch

    try:
        torch.zeros(1, device="cuda")
    except (RuntimeError, AssertionError) as error:  # the latter from a PyTorch without CUDA
        print(f"CUDA does not start in a forked process: {error}", flush=True)
        return False
    return True


def memory_of_the_smallest_card():
    """In GB, by nvidia-smi, which does not start CUDA here; None where it cannot tell."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=15)
        return min(float(line) for line in done.stdout.split("\n") if line.strip()) / 1e3
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


class Stopped(Exception):
    """The command was told to end."""


@contextlib.contextmanager
def stopping():
    """SIGTERM and SIGINT raise Stopped, so that children are ended and the report is written."""

    def stop(number, frame):
        raise Stopped(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_part(options, threads, name, part, folder):
    """One part of a section, in this process."""
    import torch

    torch.set_num_threads(threads)
    warnings.simplefilter("default")
    stem = os.path.join(folder, f"{name}-{part}")
    record = Record(stem + ".json", options, int(part), SECTIONS[name].parts)
    with record.step(name):
        importlib.import_module("gpu_sections." + name).run(record)
    record.finish()


class Job:
    """One part of a section."""

    def __init__(self, name, part, folder):
        self.name, self.part, self.section = name, part, SECTIONS[name]
        stem = os.path.join(folder, f"{name}-{part}")
        self.result, self.log = stem + ".json", stem + ".log"
        self.pid, self.began, self.deadline, self.status = None, None, None, "not run"
        self.seconds = self.processor = 0.0
        self.command = [name, str(part), folder]

    def start(self, options, threads, deadline):
        now = time.time()
        self.began, self.deadline = now, min(now + self.section.limit, deadline)
        self.status = "running"
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(options, threads)

    def _child(self, options, threads):
        """Never returns."""
        status = 1
        try:
            os.setpgid(0, 0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)  # the parent's would go on in the child
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ["OMP_NUM_THREADS"] = str(threads)  # for processes that a section starts
            if options.device == "gpu" and not cuda_starts():
                given = ["--device", options.device] + ["--quick"] * options.quick
                child = ["--child", *self.command]
                os.execv(sys.executable, [sys.executable, COMMAND, *given, *child])
            run_part(options, threads, *self.command)
            status = 0
        except BaseException:  # the parent must never continue in two processes
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def poll(self):
        """True once the process has ended; ends it at its deadline."""
        done, status, used = os.wait4(self.pid, os.WNOHANG)
        self.processor = used.ru_utime + used.ru_stime
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                self.status = f"died of {signal.Signals(-code).name}"
            else:
                self.status = "ended" if code == 0 else "died of an exception"
        elif time.time() > self.deadline:
            self.status = f"was ended after {time.time() - self.began:.0f} s, its limit"
            self.kill()
        else:
            return False
        self.seconds = time.time() - self.began
        return True

    def kill(self):
        for target in (-self.pid, self.pid):
            try:
                os.kill(target, signal.SIGKILL)
                break
            except OSError:  # the child has no group of its own yet
                continue
        for _ in range(PATIENCE * 50):
            done, _, used = os.wait4(self.pid, os.WNOHANG)
            if done:
                self.processor = used.ru_utime + used.ru_stime
                return
            time.sleep(0.02)

    def found(self):
        """What the part wrote (see Record), or nothing; with how it ended."""
        found = {"checks": [], "facts": {}, "finished": False, "seconds": 0}
        try:
            with open(self.result) as stream:
                found = json.load(stream)
        except (OSError, ValueError):
            pass
        found["status"] = self.status
        found["seconds"] = round(self.seconds, 1)
        found["began"] = self.began
        found["processor"] = round(self.processor, 1)
        if self.status != "not run" and not found["finished"]:
            found["log"] = self.log_text()[-LOG_TAIL:]
        return found

    def log_text(self):
        try:
            with open(self.log, errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""


class Schedule:
    """One run of gpu_check.py."""

    def __init__(self, options):
        self.options = options
        self.began = time.time()
        self.deadline = self.began + options.limit
        self.folder = tempfile.mkdtemp(prefix="gpu-check-")
        self.jobs = [
            Job(name, part, self.folder)
            for name in options.names
            for part in range(SECTIONS[name].parts)
        ]
        self.cores = len(os.sched_getaffinity(0))
        self.slots = options.processes or max(2, self.cores // CORES_PER_PROCESS)
        memory = memory_of_the_smallest_card() if options.device == "gpu" else None
        if memory and not options.processes:
            self.slots = max(1, min(self.slots, int(memory // ROOM)))

    def run(self):
        """Run everything; the exit status."""
        import torch  # noqa: F401 - imported here once, for all children

        import caffe  # noqa: F401

        if self.options.device == "pretend":
            import pretend_device  # noqa: F401
        beside = [job for job in self.jobs if not job.section.alone]
        alone = [job for job in self.jobs if job.section.alone]
        deadline = self.deadline
        if alone and self.options.device == "gpu":
            deadline = self.began + self.options.limit * SIDE_BY_SIDE
        running = []
        try:
            with stopping():
                self._all(beside, self.slots, deadline, running)
                self._all(alone, 1, self.deadline, running)
        except Stopped as stopped:
            print(f"stopped by {stopped}: what was found until then", flush=True)
        finally:
            for job in running:
                job.status = f"was ended after {time.time() - job.began:.0f} s, with the command"
                job.kill()
            found = self._write()
        print(report.table(found), flush=True)
        return 0 if report.all_hold(found) else 1

    def _all(self, jobs, slots, deadline, running):
        waiting = list(jobs)
        threads = max(1, self.cores // slots)
        while waiting or running:
            while waiting and len(running) < slots and deadline - time.time() > LEAST:
                job = waiting.pop(0)
                running.append(job)
                job.start(self.options, threads, deadline)
            for job in [job for job in running if job.poll()]:
                running.remove(job)
                self._write()
                if not any(other.name == job.name for other in running + waiting):
                    line = report.line(self._section(job.name))
                    print(f"{time.time() - self.began:6.1f} s  {line}", flush=True)
            if waiting and not running and deadline - time.time() <= LEAST:
                return
            time.sleep(0.02)

    def _section(self, name):
        parts = [job.found() for job in self.jobs if job.name == name]
        return report.merged(name, SECTIONS[name].title, parts)

    def _write(self):
        found = {
            "device": self.options.device,
            "quick": self.options.quick,
            "seconds": round(time.time() - self.began, 1),
            "limit": self.options.limit,
            "sections": [self._section(name) for name in self.options.names],
        }
        report.write(self.options.out, found)
        logs = "".join(f"===== {job.name} {job.part}\n{job.log_text()}" for job in self.jobs)
        with open(os.path.join(self.options.out, "gpu_check.log"), "w") as stream:
            stream.write(logs[-4_000_000:])
        return found
