"""Fill the disk under everything that writes: each ends in one error and keeps what was there.

    python tests/fuzz/full_disk.py [--folder DIR] [--step 1]

A limit of the file's size (RLIMIT_FSIZE) and, as root, a small tmpfs that is full or read-only.
What is written: a snapshot, binary and HDF5, weights, a database (LMDB, and LevelDB where plyvel is
installed), a mean file, features, the results of classify and detect, a net's upgraded text, a
label map, a line of scores, tables and charts of a log, resized pictures. The size at which the
disk ends runs from nothing to beyond the largest of them. Prints how many ends were
tried; the exit status is 1 if one was no clear error, or lost a file.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE.parents[1])]

import caffe  # noqa: E402
from caffe.cli import main as command  # noqa: E402
from fcn.palette import save_label_png, voc_palette  # noqa: E402
from fcn.scoring import results  # noqa: E402

SIZES = (0, 1, 100, 2000, 4096, 9000, 20000, 40000, 100000)  # bytes at which the disk is full
REASONS = ("No space left", "File too large", "disk is full", "Read-only")
NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TRAIN }
  dummy_data_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 } } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST }
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 20 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
  include { phase: TRAIN } }
"""
LOG = """\
I0101 00:00:00.000000   77 solver.cpp:289] Solving net
I0101 00:00:01.000000   77 solver.cpp:239] Iteration 0, loss = 3
I0101 00:00:01.000000   77 solver.cpp:258]     Train net output #0: loss = 2.75
I0101 00:00:01.000000   77 sgd_solver.cpp:112] Iteration 0, lr = 0.1
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "disk/s"
snapshot_format: %s
"""


def prepare():
    """What the writers read, in the current folder."""
    Path("net.prototxt").write_text(NET)
    for form in ("BINARYPROTO", "HDF5"):
        Path(f"solver_{form}.prototxt").write_text(SOLVER % form)
    caffe.Net("net.prototxt", caffe.TEST).save("net.caffemodel")
    pictures = np.random.RandomState(0).randint(0, 256, (30, 20, 24, 3)).astype(np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(f"{number}.png")
    Path("list.txt").write_text("".join(f"{number}.png 0\n" for number in range(30)))
    Path("windows.csv").write_text(
        "filename,ymin,xmin,ymax,xmax\n" + "0.png,1,1,9,9\n" * 200, encoding="utf-8"
    )
    quietly(["convert_imageset", "./", "list.txt", "source_lmdb"])
    Path("features.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "d" data_param { source: "source_lmdb" backend: LMDB '
        'batch_size: 5 } } layer { name: "pool" type: "Pooling" bottom: "d" top: "pool" '
        "pooling_param { kernel_size: 2 } }"
    )


def quietly(arguments):
    """(status, what was told) of a command."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            status = command(arguments)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue()


def called(function):
    """(status, what was told) of a call, by the rules of the commands."""
    try:
        function()
    except (caffe.Error, OSError) as error:
        return 1, str(error)
    return 0, ""


def writers():
    """{name: (what writes, the paths that it writes)}; the paths lie in disk/."""
    net = caffe.Net("net.prototxt", "net.caffemodel", caffe.TEST)
    model = ["--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel"]
    label = np.random.RandomState(1).randint(0, 256, (120, 130)).astype(np.uint8)
    windows = ["windows.csv", "--crop_mode", "list", "--context_pad", "0"]

    def snapshot(form):
        return lambda: called(lambda: caffe.get_solver(f"solver_{form}.prototxt").solve())

    found = {
        "snapshot": (snapshot("BINARYPROTO"), ["s_iter_1.caffemodel", "s_iter_1.solverstate"]),
        "HDF5 snapshot": (snapshot("HDF5"), ["s_iter_1.caffemodel.h5", "s_iter_1.solverstate.h5"]),
        "weights": (lambda: called(lambda: net.save("disk/w.caffemodel")), ["w.caffemodel"]),
        "LMDB": (lambda: quietly(["convert_imageset", "./", "list.txt", "disk/lmdb"]), ["lmdb"]),
        "mean": (
            lambda: quietly(["compute_image_mean", "source_lmdb", "disk/mean"]),
            ["mean"],
        ),
        "features": (
            lambda: quietly(
                ["extract_features", "net.caffemodel", "features.prototxt", "pool", "disk/f", "3"]
                + ["lmdb"]
            ),
            ["f"],
        ),
        "classify": (
            lambda: quietly(["classify", ".", "disk/c.npy", *model, "--ext", "png"]),
            ["c.npy"],
        ),
        "detect": (lambda: quietly(["detect", *windows, *model, "disk/d.csv"]), ["d.csv"]),
        "detect, HDF5": (lambda: quietly(["detect", *windows, *model, "disk/d.h5"]), ["d.h5"]),
        "upgraded text": (
            lambda: quietly(["upgrade_net_proto_text", "net.prototxt", "disk/n.prototxt"]),
            ["n.prototxt"],
        ),
        "label map": (
            lambda: called(lambda: save_label_png("disk/l.png", label, voc_palette())),
            ["l.png"],
        ),
    }
    Path("run.log").write_text(LOG + "".join(LOG.splitlines(True)[1:]) * 2000)
    Path("few.txt").write_text("0.png\n1.png\n")
    resize = ["resize_and_crop_images", "-input=few.txt", "-input_folder=./"]
    scored = {"mean_iu": 0.5, "iu": [0.25] * 2000}
    found |= {
        "extract_seconds": (
            lambda: quietly(["extract_seconds", "run.log", "disk/seconds.txt"]),
            ["seconds.txt"],
        ),
        "parse_log": (
            lambda: quietly(["parse_log", "run.log", "disk"]),
            ["run.log.train", "run.log.test"],
        ),
        "resized pictures": (
            lambda: quietly([*resize, "-output_folder=disk", "-output_side_length=150"]),
            ["0.png", "1.png"],
        ),
        "scores": (
            lambda: called(lambda: results.append("disk/scores", scored)),
            ["scores"],
        ),
    }
    if importlib.util.find_spec("matplotlib"):
        found["chart"] = (
            lambda: quietly(["plot_training_log", "6", "disk/chart.png", "run.log"]),
            ["chart.png"],
        )
    if importlib.util.find_spec("plyvel"):
        found["LevelDB"] = (
            lambda: quietly(
                ["convert_imageset", "-backend=leveldb", "./", "list.txt", "disk/leveldb"]
            ),
            ["leveldb"],
        )
    return found


@contextlib.contextmanager
def limited(size):
    """No file of this process may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def filled(size):
    """All but ``size`` bytes of the tmpfs at disk/ are taken (in whole pages)."""
    free = os.statvfs("disk")
    room = free.f_bavail * free.f_frsize
    Path("disk/ballast").write_bytes(b"\0" * max(0, room - -(-size // 4096) * 4096))
    try:
        yield
    finally:
        os.unlink("disk/ballast")


@contextlib.contextmanager
def read_only(size):
    """The tmpfs at disk/ takes no writes, from root neither."""
    subprocess.run(["mount", "-o", "remount,ro", "disk"], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", "disk"], check=True)


def attempt(name, write, paths, full, size):
    """What is wrong with one end: '' for nothing."""
    kept = {path: b"of before" for path in paths if "." in path}
    for path, content in kept.items():
        Path("disk", path).write_bytes(content)
    with full(size):
        try:
            status, told = write()
        except BaseException as error:  # whatever it is: that is the fault looked for
            return f"{type(error).__name__}: {error}"
    wrong = ""
    if status != 0:
        if not any(reason in told for reason in REASONS):
            wrong = f"the reason is not told: {told.strip()[-200:]!r}"
        elif "Traceback" in told:
            wrong = "a traceback"
        elif "disk/" not in told:
            wrong = f"no file is named: {told.strip()[-200:]!r}"
        # Of two files the first may be there already, whole.
        changed = [path for path in kept if Path("disk", path).read_bytes() != kept[path]]
        if len(changed) == len(paths) and changed:
            wrong = f"{changed} lost"
    left = {path.name for path in Path("disk").iterdir()} - set(paths) - {"ballast"}
    if left:
        wrong = wrong or f"left behind: {sorted(left)}"
    subprocess.run("rm -rf disk/*", shell=True, check=True)
    return wrong


def run(folder, step=1, tmpfs=True):
    """Try everything below ``folder``; returns ({way: number of ends}, [what was wrong])."""
    before = os.getcwd()
    os.chdir(folder)
    counts, wrong = {}, []
    try:
        prepare()
        os.mkdir("disk")
        for way, full in (("limit", limited), ("tmpfs", filled), ("read-only", read_only)):
            sizes = SIZES[:1] if way == "read-only" else SIZES[::step]
            if way != "limit":
                mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", "disk"]
                if not tmpfs or subprocess.run(mount, capture_output=True).returncode:
                    continue
            try:
                for name, (write, paths) in writers().items():
                    for size in sizes:
                        counts[way] = counts.get(way, 0) + 1
                        what = attempt(name, write, paths, full, size)
                        if what:
                            wrong.append(f"{name}, {way} of {size}: {what}")
            finally:
                if way != "limit":
                    subprocess.run(["umount", "disk"], check=True)
    finally:
        os.chdir(before)
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--folder", help="an empty folder to work in; default: a temporary one")
    parser.add_argument("--step", type=int, default=1, help="take every so many-th size")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        counts, wrong = run(args.folder or temporary, args.step)
    for way, count in counts.items():
        print(f"{way}: {count} ends of the disk")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
