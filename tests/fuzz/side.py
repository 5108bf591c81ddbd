"""Give files to the engine that `import caffe` finds, each in a process of its own.

    side.py FOLDER

FOLDER/job.json says what kind of files (net, solver, weights, hdf5 or state) and which; FOLDER/OUT
gets NAME.npz for a file that was taken and NAME.json for one that was not.  Runs on BVLC Caffe's
Python 3.9, too.
"""

import functools
import json
import os
import resource
import signal
import sys
import time

import numpy as np

SECONDS = 20  # for one file, then it counts as a hang
ROOM = 1 << 30  # bytes of memory that one file may add
LARGE = 3000000  # numbers in all blobs, past which a net is built but not run


def caffe_error(error):
    """The class name of an exception, `caffe.` in front where it is the engine's own."""
    kind = type(error)
    names = [(base.__module__, base.__name__) for base in kind.__mro__]
    own = ("caffe.errors", "Error") in names
    return ("caffe." if own else "") + kind.__name__


def feed(net):
    """Put numbers of a fixed pattern into the inputs."""
    for name in net.inputs:
        data = net.blobs[name].data
        count = np.arange(data.size).reshape(data.shape)
        data[...] = count % 2 if "label" in name else np.sin(count)


def look(net, parts):
    for name, blob in net.blobs.items():
        parts["shape " + name] = np.array(list(blob.shape))
    if sum(blob.count for blob in net.blobs.values()) <= LARGE:
        feed(net)
        for name, value in net.forward().items():
            parts["out " + name] = np.array(value)


def run_net(caffe, path, job, number):
    caffe.set_random_seed(7)
    parts = {}
    look(caffe.Net(path, job["phases"][number]), parts)
    return parts


def run_solver(caffe, path, job, number):
    caffe.set_random_seed(7)
    parts = {}
    solver = caffe.get_solver(path)
    if sum(blob.count for blob in solver.net.blobs.values()) <= LARGE:
        solver.step(2)
    for name, blobs in solver.net.params.items():
        for k, blob in enumerate(blobs):
            parts[f"out {name} {k}"] = np.array(blob.data)
    return parts


def begin_tracing(traced):
    if traced:
        import tracemalloc

        tracemalloc.start()


def end_tracing(path, traced):
    """Write the peak of Python's and NumPy's memory beside the file."""
    if traced:
        import tracemalloc

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        with open(path + ".peak", "w") as stream:
            stream.write(str(peak))


def run_weights(net, path, traced):
    """Load weights; ``traced``: measure the memory that it takes."""
    begin_tracing(traced)
    try:
        net.copy_from(path)
    finally:
        end_tracing(path, traced)
    parts = {}
    for name, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            parts[f"out {name} {k}"] = np.array(blob.data)
    return parts


def run_state(solver, path, traced):
    """Restore it and train one step; ``traced`` as in `run_weights`."""
    begin_tracing(traced)
    try:
        solver.restore(path)
    finally:
        end_tracing(path, traced)
    parts = {"out iter": np.array(solver.iter)}
    solver.step(1)
    for name, blobs in solver.net.params.items():
        for k, blob in enumerate(blobs):
            parts[f"out {name} {k}"] = np.array(blob.data)
    return parts


def memory():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def child(work, out, name):
    """Do one file in this process, which then ends."""
    limit = memory() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    errors = os.open(os.path.join(out, name + ".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 2)
    os.dup2(errors, 1)
    signal.alarm(SECONDS)
    try:
        np.savez(os.path.join(out, name + ".npz"), **work())
    except BaseException as error:
        with open(os.path.join(out, name + ".json"), "w") as stream:
            json.dump({"type": caffe_error(error), "text": str(error)[:2000]}, stream)
    os._exit(0)


def main(folder):
    with open(os.path.join(folder, "job.json")) as stream:
        job = json.load(stream)
    import caffe

    ours = hasattr(caffe, "__engine__")
    out = os.path.join(folder, "ours" if ours else "bvlc")
    os.makedirs(out, exist_ok=True)
    net = None
    if job["kind"] in ("weights", "hdf5"):
        net = caffe.Net(os.path.join(folder, "net.prototxt"), caffe.TEST)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0.25
                if ours:
                    blob.diff[...] = 0
    if job["kind"] == "state":
        solver = caffe.get_solver(os.path.join(folder, "solver.prototxt"))
        solver.step(1)
        if ours:  # the first use of a reader loads its package, which is no file's fault
            solver.restore(os.path.join(folder, "s_iter_2.solverstate.h5"))
    elif job["kind"] == "hdf5" and ours:
        net.copy_from(os.path.join(folder, "whole.h5"))
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0.25
    status = {}
    for number, name in enumerate(job["names"]):
        path = os.path.join(folder, name)
        if job["kind"] == "state":
            work = functools.partial(run_state, solver, path, ours)
        elif job["kind"] in ("weights", "hdf5"):
            work = functools.partial(run_weights, net, path, ours)
        else:
            run = run_net if job["kind"] == "net" else run_solver
            work = functools.partial(run, caffe, path, job, number)
        began = time.time()
        pid = os.fork()
        if pid == 0:
            child(work, out, name)
        _, code = os.waitpid(pid, 0)
        status[name] = [os.WTERMSIG(code) if os.WIFSIGNALED(code) else 0, time.time() - began]
    with open(os.path.join(out, "status.json"), "w") as stream:
        json.dump(status, stream)


if __name__ == "__main__":
    main(sys.argv[1])
