"""Compare the tools that make databases and mean files with BVLC Caffe's own, live.

    python tests/oracle/data_tools.py [--root DIR]

convert_imageset and compute_image_mean run on the same image files, with every flag, both backends,
and what must be refused; the converters of MNIST and CIFAR-10 on files of their form.
Compared are exit status (refused or not), log lines, keys, records and mean files; each program's
databases are also read by the other's compute_image_mean. Prints how many were compared; the exit
status is 1 on any difference.
"""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile

import case_images
import enter
import numpy as np
import rows
from root import CHECKOUT, OracleMissing, default_root

sys.path.insert(0, os.path.join(CHECKOUT, "src"))

from caffe import glog
from caffe.data import db, image_files
from caffe.proto import caffe_pb2
from caffe.tools import (
    compute_image_mean,
    convert_cifar,
    convert_imageset,
    convert_mnist,
    flags,
)

OURS = {
    "convert_imageset": convert_imageset.main,
    "compute_image_mean": compute_image_mean.main,
    "convert_mnist_data": convert_mnist.main,
    "convert_mnist_siamese_data": convert_mnist.siamese,
    "convert_cifar_data": convert_cifar.main,
}
JPEG_LEVELS = 2  # between two versions of libjpeg

# (flags, list): what convert_imageset is asked for; lists are made by make_files.
CONVERSIONS = [
    ([], "mixed"),
    (["-gray"], "mixed"),
    (["--gray=true"], "mixed"),
    (["-nogray"], "mixed"),
    (["-resize_height", "9", "-resize_width", "13"], "mixed"),
    (["-resize_height=20", "--resize_width=31", "-gray"], "mixed"),
    (["-resize_width", "9"], "mixed"),
    (["-check_size"], "equal"),
    (["-check_size"], "mixed"),
    (["-check_size", "-resize_height=8", "-resize_width=8"], "mixed"),
    (["-encoded"], "mixed"),
    (["-encoded", "-gray"], "mixed"),
    (["-encode_type", "png"], "mixed"),
    (["-encode_type=jpg"], "mixed"),
    (["-encoded", "-encode_type=jpg", "-gray"], "mixed"),
    (["-encoded", "-resize_height=9", "-resize_width=13"], "mixed"),
    (["-encode_type", "nope"], "mixed"),
    (["-shuffle"], "one"),
    ([], "equal"),
    ([], "many"),
]


def make_files(folder):
    """Images and lists in `folder`: of several sizes and types, one missing, one damaged."""
    chosen = []
    for number in range(12):
        size = (16, 20) if number < 5 else (10 + number, 31 - number)
        pixels = case_images.picture(size[0], size[1], 100 + number)
        if number % 4 == 3:
            pixels = pixels[:, :, :1]
        chosen.append(
            (
                f"p {number}.png"
                if number == 6
                else f"p{number}.PNG"
                if number == 7
                else f"p{number}.png",
                case_images.png(pixels),
            )
        )
    for number in range(4):
        chosen.append(
            (
                f"j{number}.{['jpg', 'jpeg'][number % 2]}",
                case_images.image_bytes(case_images.read_jpegs()[number]),
            )
        )
    for name, data in chosen:
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
    with open(os.path.join(folder, "damaged.png"), "wb") as stream:
        stream.write(chosen[0][1][:40])
    names = [name for name, _ in chosen]
    lists = {
        "mixed": names[:9] + ["missing.png", "damaged.png"] + names[9:],
        "equal": names[:5],
        "one": names[:1],
        "many": names * 80,
    }
    for name, entries in lists.items():
        with open(os.path.join(folder, name + ".txt"), "w") as stream:
            stream.write("".join(f"{entry} {7 - n}\n" for n, entry in enumerate(entries)))


class Comparison:
    """Runs both programs in one folder and counts what was compared and what differs."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.counts = {**dict.fromkeys(OURS, 0), "lmdb": 0, "leveldb": 0}
        self.problems = {name: [] for name in self.counts}

    def bvlc(self, tool, arguments):
        """(status, log lines) of BVLC Caffe's tool."""
        command = enter.inside(self.root, [tool] + arguments, [self.folder], self.folder)
        env = dict(enter.environment(), GLOG_minloglevel="0")
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, log_lines(done.stdout.decode(errors="replace"))

    def ours(self, tool, arguments):
        """(status, log lines) of the engine's tool."""
        stream = io.StringIO()
        with contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
            status = flags.guarded(OURS[tool], arguments)
        return status, log_lines(stream.getvalue())

    def check(self, what, label, expected, found):
        """Count one comparison of `what`."""
        self.counts[what] += 1
        if expected != found:
            self.problems[what].append(f"{label}: expected {expected!r}, found {found!r}")

    def conversion(self, number, options, listed, backend):
        label = " ".join(["convert_imageset", *options, listed, backend])
        names = [f"{side}_{number}_{backend}" for side in ("bvlc", "ours")]
        arguments = [["-backend", backend, *options, "./", f"{listed}.txt", name] for name in names]
        status, log = self.bvlc("convert_imageset", arguments[0])
        own_status, own_log = self.ours("convert_imageset", arguments[1])
        self.check("convert_imageset", label + ": refused", status != 0, own_status != 0)
        if status or own_status:
            self.check(
                "convert_imageset",
                label + ": left behind",
                [],
                [name for name in os.listdir(".") if name.startswith(names[1])],
            )
            return None
        own_log = [line.replace(names[1], names[0]) for line in own_log]
        self.check("convert_imageset", label + ": log", log, own_log)
        stored = [records(name, backend) for name in names]
        self.check(
            backend, label + ": keys", [key for key, _ in stored[0]], [key for key, _ in stored[1]]
        )
        for (key, expected), (_, found) in zip(*stored):
            self.check(backend, f"{label}: {key}", "", difference(expected, found))
        return names

    def mean(self, names, backend):
        """The mean of both databases by both programs: one file, one log."""
        results = []
        for name in names:
            for side in (self.bvlc, self.ours):
                target = f"{name}_{side.__name__}.binaryproto"
                arguments = ["-backend=" + backend, name, target]
                status, log = side("compute_image_mean", arguments)
                log = [line.replace(target, "TARGET").replace(name, "DB") for line in log]
                results.append((status != 0, log if status == 0 else None, contents(target)))
        label = f"compute_image_mean of {names[0]}, "
        for which, result in zip(("bvlc's by ours", "ours by bvlc", "ours by ours"), results[1:]):
            for expected, found in zip(results[0], result):
                self.check("compute_image_mean", label + which, expected, found)


def log_lines(text):
    """What a program logged, without time and place; reasons of failures are each program's own."""
    lines = [
        line.partition("] ")[2] for line in text.splitlines() if line[:1] in "IW" and "] " in line
    ]
    return [line for line in lines if "take effect only together" not in line]


def records(name, backend):
    cursor = db.open(name, backend).cursor()
    found = []
    while True:
        key, value = cursor.item()
        found.append((key, caffe_pb2.Datum.FromString(value)))
        if not cursor.next():
            return found


def difference(expected, found):
    """What differs between two datums, empty if nothing: encoded ones may be other files, of equal
    pixels."""
    if expected == found:
        return ""
    if not (expected.encoded and found.encoded and expected.label == found.label):
        return f"{str(expected)[:200]} against {str(found)[:200]}"
    a, b = (image_files.decode(datum.data, None).astype(int) for datum in (expected, found))
    levels = 0 if expected.data.startswith(b"\x89PNG") else JPEG_LEVELS
    if a.shape != b.shape or expected.data[:3] != found.data[:3]:
        return f"{a.shape} {expected.data[:3]!r} against {b.shape} {found.data[:3]!r}"
    largest = int(np.abs(a - b).max())
    return "" if largest <= levels else f"pixels differ by {largest}"


def contents(path):
    if not os.path.exists(path):
        return None
    with open(path, "rb") as stream:
        return stream.read()


def compare(root):
    """Run everything; returns the Comparison."""
    with tempfile.TemporaryDirectory(prefix="data-tools-") as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            make_files(folder)
            comparison = Comparison(root, folder)
            for number, (options, listed) in enumerate(CONVERSIONS):
                for backend in ("lmdb", "leveldb"):
                    names = comparison.conversion(number, options, listed, backend)
                    if names:
                        comparison.mean(names, backend)
            refusals(comparison)
            mnist(comparison)
            cifar(comparison)
        finally:
            os.chdir(before)
    return comparison


def both(comparison, tool, arguments):
    """Run both programs; ``{side}`` in the arguments is bvlc or ours. True where both succeed."""
    results = []
    for side in (comparison.bvlc, comparison.ours):
        status, log = side(tool, [word.format(side=side.__name__) for word in arguments])
        log = [line.replace(f"_{side.__name__}", "") for line in log]
        results.append((status != 0, log if not status else None))
    comparison.check(tool, " ".join(arguments), *results)
    return not any(refused for refused, _ in results)


def mnist(comparison):
    """Files in MNIST's format: records, log lines, refusals; pairs are drawn at random, so of the
    siamese tool keys, sizes and the pictures' rows are compared."""
    draw = np.random.RandomState(5)
    pictures = draw.randint(0, 256, (2100, 28, 28)).astype(np.uint8)
    labels = draw.randint(0, 10, 2100).astype(np.uint8)
    with open("images", "wb") as stream:
        stream.write(np.array([2051, *pictures.shape], ">u4").tobytes() + pictures.tobytes())
    with open("labels", "wb") as stream:
        stream.write(np.array([2049, 2100], ">u4").tobytes() + labels.tobytes())
    tool = "convert_mnist_data"
    for backend in ("lmdb", "leveldb"):
        target = "mnist_{side}_" + backend
        if both(comparison, tool, ["-backend", backend, "images", "labels", target]):
            stored = [records(target.format(side=side), backend) for side in ("bvlc", "ours")]
            comparison.check(tool, f"{backend}: number of records", len(stored[0]), len(stored[1]))
            for expected, found in zip(*stored):
                comparison.check(tool, f"{backend}: {expected[0]}", expected, found)
    both(comparison, tool, ["labels", "images", "mnist_refused_{side}"])
    both(comparison, tool, ["missing", "labels", "mnist_refused_{side}"])
    tool = "convert_mnist_siamese_data"
    if both(comparison, tool, ["images", "labels", "siamese_{side}"]):
        known = {p.tobytes(): int(label) for p, label in zip(pictures, labels)}
        size = pictures[0].size
        for side in ("bvlc", "ours"):
            for i, (key, datum) in enumerate(records(f"siamese_{side}", "leveldb")):
                first, second = (known[datum.data[k : k + size]] for k in (0, size))
                fields = (datum.channels, datum.height, datum.width, datum.label)
                expected = (b"%08d" % i, (2, 28, 28, int(first == second)))
                comparison.check(tool, f"{side}: {i}", expected, (key, fields))


def cifar(comparison):
    """Batches of CIFAR-10's size, because BVLC's tool reads no other."""
    tool, names = "convert_cifar_data", [f"data_batch_{i}.bin" for i in range(1, 6)]
    for number, name in enumerate([*names, "test_batch.bin"]):
        draw = np.random.RandomState(number)
        draw.randint(0, 256, (10000, 3073)).astype(np.uint8).tofile(name)
    for side in ("bvlc", "ours"):
        os.mkdir(f"cifar_{side}")
    if both(comparison, tool, [".", "cifar_{side}", "lmdb"]):
        for part in ("train", "test"):
            stored = [records(f"cifar_{s}/cifar10_{part}_lmdb", "lmdb") for s in ("bvlc", "ours")]
            comparison.check(tool, f"{part}: number of records", len(stored[0]), len(stored[1]))
            for expected, found in zip(*stored):
                comparison.check(tool, f"{part}: {expected[0]}", expected, found)
    both(comparison, tool, [".", "cifar_{side}", "lmdb"])  # they exist now


def refusals(comparison):
    """What neither program does: wrong calls, an existing target, a missing database."""
    os.mkdir("exists")
    for tool, arguments in [
        ("convert_imageset", []),
        ("convert_imageset", ["./", "one.txt"]),
        ("convert_imageset", ["./", "one.txt", "exists"]),
        ("convert_imageset", ["-backend", "foo", "./", "one.txt", "new"]),
        ("convert_imageset", ["-backend", "leveldb", "./", "one.txt", "no/such/folder/new"]),
        ("convert_imageset", ["./", "one.txt", "no/such/folder/new"]),
        ("convert_imageset", ["-nope", "./", "one.txt", "new"]),
        ("compute_image_mean", []),
        ("compute_image_mean", ["a", "b", "c"]),
        ("compute_image_mean", ["missing"]),
        ("compute_image_mean", ["-backend=leveldb", "gone"]),
    ]:
        statuses = [side(tool, arguments)[0] != 0 for side in (comparison.bvlc, comparison.ours)]
        comparison.check(tool, " ".join([tool] + arguments), (True, True), tuple(statuses))


def report(comparison):
    """Print the counts and the differences; returns the number of differences."""
    sections = {
        "lmdb": ("File formats", "LMDB of Datum records"),
        "leveldb": ("File formats", "LevelDB of Datum records"),
    }
    failed = 0
    for what, count in comparison.counts.items():
        problems = comparison.problems[what]
        section, name = sections.get(what, ("Tools", what))
        note = (
            "exit status, log lines, mean files"
            if section == "Tools"
            else "keys and records written by both programs, read by both"
        )
        rows.add(section, name, count, len(problems), None, note)
        print(f"{name:<26} {count:>5} compared {len(problems):>5} different")
        for problem in problems[:10]:
            print("    " + problem[:600])
        failed += len(problems)
    return failed


def main():
    glog.set_level(0)  # the logs are compared, whatever GLOG_minloglevel says
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    try:
        comparison = compare(parser.parse_args().root)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    sys.exit(1 if report(comparison) else 0)


if __name__ == "__main__":
    main()
