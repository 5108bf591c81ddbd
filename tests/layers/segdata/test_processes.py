"""Batches from processes: the same as from a thread, whatever the processes do."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import bootstrap
from segdata import DataError, processes
from segdata.processes import ProcessPrefetcher

pytestmark = pytest.mark.slow

AUGMENTED = dict(
    seed=5,
    split="train",
    mean=(1, 2, 3),
    batch_size=3,
    mirror=True,
    scale=(0.5, 2.0),
    crop=(17, 19),
    balance=0.5,
    light=0.2,
    color=0.3,
    cache=True,
)


class Numbers:
    """Loads k as an array that tells k by its size and values; odd ones take longer."""

    def __call__(self, k, empty):
        time.sleep(0.02 * (k % 2))
        if k == 5:
            raise DataError("file 5")
        (array,) = empty([((k + 1, 2), "<f4")])
        array[...] = k


def served(net, count):
    found = []
    for _ in range(count):
        net.forward()
        found.append([net.blobs[name].data.copy() for name in ("data", "label")])
    return found


def same(found, expected):
    for left, right in zip(found, expected):
        for a, b in zip(left, right):
            np.testing.assert_array_equal(a, b)


def test_processes_serve_what_a_thread_serves(voc_dir, data_net):
    params = dict(AUGMENTED, voc_dir=str(voc_dir))
    thread = data_net("voc_layers", "VOCSegDataLayer", params)
    several = data_net("voc_layers", "VOCSegDataLayer", dict(params, workers=3))
    expected = served(thread, 12)
    same(served(several, 12), expected)
    several.layers[0].seek(4)
    same(served(several, 3), expected[4:7])
    assert several.layers[0].position == 7


def test_whole_images_of_any_size_come_through_one_slot_after_another(voc_dir, data_net):
    params = dict(voc_dir=str(voc_dir), split="train", mean=(0, 0, 0), seed=3)
    thread = data_net("voc_layers", "VOCSegDataLayer", params)
    several = data_net("voc_layers", "VOCSegDataLayer", dict(params, workers=2))
    same(served(several, 15), served(thread, 15))


def test_order_errors_and_sizes(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    prefetcher = ProcessPrefetcher(_numbers(), itertools.count(), workers=3)
    for k in range(5):
        (array,) = prefetcher.current()
        assert array.shape == (k + 1, 2) and np.all(array == k)
        prefetcher.advance()
    for call in (prefetcher.current, prefetcher.advance, prefetcher.current):
        with pytest.raises(DataError, match="file 5"):
            call()
    prefetcher.close()


def _numbers():
    """Numbers, of a module that the processes can import by that name."""
    import test_processes

    return test_processes.Numbers()


def test_a_missing_image_is_named(voc_dir, data_net):
    os.remove(str(voc_dir / "JPEGImages" / "2007_000002.jpg"))
    params = dict(voc_dir=str(voc_dir), split="val", mean=(0, 0, 0), workers=2)
    with pytest.raises(Exception, match=r"no file .*2007_000002\.jpg"):
        served(data_net("voc_layers", "VOCSegDataLayer", params), 5)


def test_a_killed_process_is_told(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    prefetcher = ProcessPrefetcher(_numbers(), itertools.count(), workers=2)
    prefetcher.current()
    for process in prefetcher._processes:
        os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(DataError, match=r"ended with status -9.*workers"):
        for _ in range(10):
            prefetcher.advance()
    prefetcher.close()


def test_interrupts_are_the_parents(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    prefetcher = ProcessPrefetcher(_numbers(), itertools.count(), workers=2)
    prefetcher.current()
    for process in prefetcher._processes:
        os.kill(process._process.pid, signal.SIGINT)
        os.kill(process._process.pid, signal.SIGTERM)
    for k in range(5):
        assert prefetcher.current()[0].shape[0] == k + 1
        prefetcher.advance()
    prefetcher.close()


def test_an_interrupt_while_they_begin_is_the_parents_too(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    prefetcher = ProcessPrefetcher(_numbers(), itertools.count(), workers=2)
    prefetcher._start()
    for process in prefetcher._processes:
        os.kill(process._process.pid, signal.SIGTERM)
        os.kill(process._process.pid, signal.SIGINT)
    assert prefetcher.current()[0].shape[0] == 1
    prefetcher.advance()
    assert prefetcher.current()[0].shape[0] == 2
    prefetcher.close()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_processes_end_with_their_parent_however_it_ends():
    program = (
        "import itertools, os, signal, sys\n"
        "sys.path.insert(0, sys.argv[1]); import test_processes\n"
        "from segdata.processes import ProcessPrefetcher\n"
        "p = ProcessPrefetcher(test_processes.Numbers(), itertools.count(), 2); p.current()\n"
        "print(*[q._process.pid for q in p._processes], flush=True)\n"
        "if sys.argv[2] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join((bootstrap.ROOT, os.path.join(bootstrap.ROOT, "layers"), *sys.path))
    for way in ("ends", "killed"):
        ended = subprocess.run(
            [sys.executable, "-c", program, os.path.dirname(__file__), way],
            env=dict(os.environ, PYTHONPATH=path),
            stdout=subprocess.PIPE,
            timeout=60,
        )
        pids = [int(pid) for pid in ended.stdout.split()]
        assert len(pids) == 2 and ended.returncode == (0 if way == "ends" else -signal.SIGKILL)
        deadline = time.time() + 10
        while any(_runs(pid) for pid in pids) and time.time() < deadline:
            time.sleep(0.02)
        assert not any(_runs(pid) for pid in pids), way


def _runs(pid):
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("loads", [True, False])
def test_a_process_nobody_listens_to_any_more_ends_quietly(loads):
    """A run that plans anew drops its data layers while batches are being prepared."""
    task_out, task_in = os.pipe()
    reply_out, reply_in = os.pipe()
    os.close(reply_out)
    with open(task_in, "wb") as tasks:
        pickle.dump([os.path.dirname(__file__), *sys.path], tasks)
        pickle.dump(_numbers() if loads else DataError("no loader"), tasks)
        pickle.dump((0, 1), tasks)
    shared = processes._shared()
    ended = subprocess.run(
        [sys.executable, "-c", processes._PROGRAM, *map(str, (task_out, reply_in, shared))],
        pass_fds=[task_out, reply_in, shared],
        stderr=subprocess.PIPE,
        text=True,
    )
    for descriptor in (task_out, reply_in, shared):
        os.close(descriptor)
    assert (ended.returncode, ended.stderr) == (0, "")
