"""Two processes write one thing at the same moment: it is the one's or the other's, never a mix.

    python tests/fuzz/two_at_once.py [--count 100] [--kind lmdb]…

weights, hdf5, mean   two nets or means under one name: both succeed, the file is whole
lmdb, leveldb         two `caffe convert_imageset` to one name: one succeeds, the other is told
snapshots             two solvers with one snapshot_prefix: each file is one solver's, whole
solve                 two solve.py on one --out (--count / 20): one succeeds, the other is told who
                      holds the lock, and the result is that of a run alone

Both processes wait for the same moment. Prints what came of each; the exit status is 1 if anything
else did.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import caffe  # noqa: E402
from caffe.cli import main as command  # noqa: E402
from caffe.data import db, mean_file  # noqa: E402
from caffe.proto import caffe_pb2  # noqa: E402
from fcn.training import loop  # noqa: E402

NET = (
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 300 } } } '
    'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" '
    "inner_product_param { num_output: 400 } }"
)
WHO = (1, 2)  # what each of the two writes everywhere


def race(action):
    """Run action(1) and action(2) in processes of their own; [(status, output)]."""
    gate_in, gate_out = os.pipe()
    pids = []
    for who in WHO:
        pid = os.fork()
        if not pid:
            status = 70
            try:
                os.close(gate_out)
                os.dup2(os.open(f"output{who}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
                os.dup2(1, 2)
                sys.stdout = sys.stderr = open(1, "w", closefd=False)
                os.read(gate_in, 1)  # until the parent closes it
                status = int(action(who) or 0)
            except Exception as error:
                print(f"{type(error).__name__}: {error}")
                status = 1 if isinstance(error, caffe.Error) else 71
            finally:
                with contextlib.suppress(OSError):
                    sys.stdout.flush()
                os._exit(status)
        pids.append(pid)
    os.close(gate_in)
    time.sleep(0.005)
    os.close(gate_out)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return [(s, Path(f"output{w}").read_text(errors="replace")) for s, w in zip(statuses, WHO)]


def owner(values):
    """Which of the two wrote all of these; 0: both did."""
    found = set(np.unique(values).tolist())
    return found.pop() if len(found) == 1 and found <= set(WHO) else 0


def expect(done, successes, content, said=""):
    """'' or what is wrong: so many succeed, the others are told, and one's content is there."""
    if sum(status == 0 for status, _ in done) not in successes:
        return f"statuses {[status for status, _ in done]}: {done[0][1][-300:]} {done[1][1][-300:]}"
    for status, text in done:
        if status and (status != 1 or said not in text or "Traceback" in text):
            return f"status {status}: {text[-300:]}"
    if not content:
        return "a mix of both"
    left = [name for name in os.listdir(".") if ".tmp" in name]
    return f"left behind: {left}" if left else ""


def filled(who):
    net = caffe.Net("net.prototxt", caffe.TEST)
    for blob in net.params["ip"]:
        blob.data[...] = who
    return net


def stored(path):
    net = caffe.Net("net.prototxt", path, caffe.TEST)
    return owner(np.concatenate([blob.data.ravel() for blob in net.params["ip"]]))


def weights():
    done = race(lambda who: filled(who).save("w.caffemodel"))
    return expect(done, (2,), stored("w.caffemodel"))


def hdf5():
    done = race(lambda who: filled(who).save_hdf5("w.h5"))
    return expect(done, (2,), stored("w.h5"))


def mean():
    done = race(lambda who: mean_file.write("m.binaryproto", np.full((3, 200, 200), float(who))))
    return expect(done, (2,), owner(mean_file.read("m.binaryproto")))


def database(backend):
    def convert(who):
        return command(
            ["convert_imageset", "-backend", backend, "./", f"list{who}.txt", "database"]
        )

    done = race(convert)
    labels = []
    with contextlib.suppress(caffe.Error):
        cursor = db.open("database", backend).records()
        while cursor is not None:
            labels.append(caffe_pb2.Datum.FromString(cursor.item()[1]).label)
            if not cursor.next():
                break
    shutil.rmtree("database", ignore_errors=True)
    content = owner(labels) if len(labels) == 40 else 0
    return expect(done, (1,), content, "cannot")


def lmdb():
    return database("lmdb")


def leveldb():
    return database("leveldb")


def snapshots():
    def take(who):
        solver = caffe.get_solver("solver.prototxt")
        for blob in solver.net.params["ip"]:
            blob.data[...] = who
        solver.snapshot()

    done = race(take)
    solver = caffe.get_solver("solver.prototxt")
    solver.restore("s_iter_0.solverstate")
    return expect(done, (2,), stored("s_iter_0.caffemodel"))


def solve():
    out = os.path.abspath("o")
    words = ["--data", os.path.abspath("toy"), "--steps", "3", "--seed", "1", "--out", out]

    def whole():
        return Path(out, "toy-fcn32s.caffemodel").read_bytes()

    alone = Path("alone")
    if not alone.exists():
        text = subprocess.run(
            [sys.executable, str(ROOT / "nets" / "toy-fcn32s" / "solve.py"), *words],
            capture_output=True,
            text=True,
        )
        if text.returncode:
            return text.stdout + text.stderr
        alone.write_bytes(whole())
        shutil.rmtree(out)
    done = race(lambda who: loop.main("toy-fcn32s", words))
    same = whole() == alone.read_bytes()
    shutil.rmtree(out)
    return expect(done, (1,), same, "error: ")


KINDS = {f.__name__: f for f in (weights, hdf5, mean, lmdb, leveldb, snapshots, solve)}


def prepare():
    """What they read, in the current folder."""
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 snapshot_prefix: "s"'
    )
    for number in range(40):
        pixels = np.full((20, 20, 3), number, np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
    for who in WHO:
        Path(f"list{who}.txt").write_text("".join(f"{n}.png {who}\n" for n in range(40)))
    subprocess.check_output(
        [sys.executable, str(ROOT / "data" / "toy.py"), "--out", "toy", "--train", "4"]
        + ["--val", "2", "--size", "64x48"]
    )


def run(kinds, count):
    """{kind: Counter of outcomes}"""
    found = {}
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            prepare()
            for kind in kinds:
                if kind == "leveldb" and importlib.util.find_spec("plyvel") is None:
                    continue
                times = max(1, count // 20) if kind == "solve" else count
                found[kind] = collections.Counter(KINDS[kind]() for _ in range(times))
        finally:
            os.chdir(before)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--count", type=int, default=100, help="of each kind, default 100")
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: all")
    args = parser.parse_args()
    wrong = 0
    for kind, outcomes in run(args.kind or KINDS, args.count).items():
        good = outcomes.pop("", 0)
        print(f"{kind}: {good} right, {sum(outcomes.values())} wrong")
        for text, number in outcomes.most_common():
            print(f"  {number} x {text}")
        wrong += sum(outcomes.values())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
