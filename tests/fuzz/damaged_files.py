"""Files that a user may damage or write wrongly: each is taken or ends in one error, in time.

    python tests/fuzz/damaged_files.py [--count 1500] [--seed 1] [--kind hdf5data]…

Of every kind --count files are made from good ones: bytes are flipped, cut out, moved or put in;
in what is text or JSON, values are exchanged for others of any type and size, numbers are beyond 64
bits, names hold bytes that are no UTF-8. Each is read by what reads it in the product:

hdf5data     HDF5 files under a net with an HDF5Data layer, a forward pass over three batches
lists        the list of an HDF5Data layer, an image list, a window file, a folder layer's list
param_str    a data layer of layers/ in a net
sidecar      the JSON beside a snapshot, and --resume
dataset      dataset.json
experiment   experiment.json
records      run.json, the .jsonl of scores and train.csv, as report.py reads them
npy          arrays for classify and score.py
mean         mean files, through a net and through classify

A kind runs in a process of its own, with 2 GiB of memory more than it had and 20 seconds for each
file; where one ends the process the next files are given to a new one. Prints the outcomes; the
exit status is 1 if any was another exception, a hang or a crash.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HELPERS = (HERE, ROOT / "src", ROOT, ROOT / "layers", ROOT / "tests", ROOT / "tests/fcn/report")
sys.path[:0] = [str(path) for path in HELPERS]

import made_run  # noqa: E402
from hostile_prototxts import SECONDS, Late, in_time  # noqa: E402
from mutate import hdf5_framing, mutate_bytes  # noqa: E402

import caffe  # noqa: E402
from caffe.data import mean_file  # noqa: E402
from caffe.tools import classify  # noqa: E402
from fcn import run_files  # noqa: E402
from fcn.catalog.description import read_description  # noqa: E402
from fcn.errors import USER_ERRORS  # noqa: E402
from fcn.report import run as report  # noqa: E402
from fcn.report.page import page  # noqa: E402
from fcn.scoring import predictions  # noqa: E402
from fcn.training.earlier import check_resumable  # noqa: E402
from fcn.training.snapshots import PAIR, Snapshots  # noqa: E402

ROOM = 2 << 30
GOOD = 10  # so many files of each kind are as they should be
ODD = [
    *(None, True, [], {}, "", "x", 0, -1, 1, 2, 0.5, 255, 256, 2**31, 2**63, -(2**63) - 1, 2**64),
    *(10**30, 10**400, 1e300, float("inf"), float("nan"), [1], [[1]], {"a": 1}, ["x"], "\0"),
    *("\udc80", "ä", "..", "/dev/null", "x" * 5000, [0] * 300, [None], [1, "x"]),
]


def deep(kind, levels=3000):
    return kind[0] * levels + kind[1] * levels


# Mutations ----------------------------------------------------------------------------------------


class Draw(random.Random):
    """Random numbers; ``good``: the file that is made now must not be wrong."""

    good = False


def mutate_values(tree, draw):
    """A copy of nested lists and dicts with one to three values exchanged, left out or doubled."""
    if draw.good:
        return tree
    tree = ast.literal_eval(repr(tree))
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return draw.choice(ODD)
        holder, key = draw.choice(places)
        kind = draw.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[draw.choice(["x", key + "x" if isinstance(key, str) else "y", ""])] = holder.pop(
                key
            )
        elif kind == 2:
            other, place = draw.choice(places)
            with contextlib.suppress(LookupError):
                holder[key] = ast.literal_eval(repr(other[place]))
        else:
            holder[key] = draw.choice(ODD)
            if isinstance(holder[key], float):  # repr() of these is no literal
                return tree
    return tree


def _places(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def mutate_json(tree, draw):
    """The bytes of a JSON file that is wrong."""
    if draw.good:
        return json.dumps(tree).encode()
    kind = draw.randrange(10)
    if kind < 7:
        return json.dumps(mutate_values(tree, draw)).encode("utf-8", "surrogatepass")
    if kind == 7:
        return draw.choice((deep("[]"), deep("{}"), '{"a":' * 3000, "", "null", "7")).encode()
    return mutated(json.dumps(tree).encode(), draw, framed=False)


def mutate_lines(text, draw):
    """The bytes of a text file of lines: words and lines exchanged, left out, too large."""
    if draw.good:
        return text.encode()
    if draw.random() < 0.25:
        return mutated(text.encode(), draw, framed=False)
    lines = [line.split(b" ") for line in text.encode().split(b"\n")]
    words = [b"", b"0", b"-1", b"9" * 30, b"-" + b"9" * 30, b"2147483648", b"1e400", b"nan", b"x"]
    words += [
        b"\xff\xfe",
        b"\xc3\xa4.png",
        b"\0",
        b"\r",
        b"\t",
        b".",
        b"/",
        b"/dev/null",
        b"#",
        b"0.5",
    ]
    for _ in range(draw.choice((1, 1, 2, 3))):
        line = draw.choice(lines)
        kind = draw.randrange(5)
        if kind == 0 and len(lines) > 1:
            lines.remove(line)
        elif kind == 1:
            lines.insert(draw.randrange(len(lines)), list(line))
        elif kind == 2 and len(line) > 1:
            line.pop(draw.randrange(len(line)))
        else:
            line[draw.randrange(len(line))] = draw.choice(words)
    return b"\n".join(b" ".join(line) for line in lines)


def mutated(data, draw, framed=True, frame=None):
    if draw.good:
        return data
    return mutate_bytes(data, draw, frame if framed else list(range(len(data))))


# Kinds: each makes its good files in the current folder, yields what reads one wrong file --------


def hdf5data(draw):
    import h5py

    numbers = np.random.RandomState(0)
    for name, options in (
        ("plain.h5", {}),
        ("packed.h5", {"chunks": (2, 3), "compression": "gzip", "shuffle": True}),
        ("checked.h5", {"chunks": (4, 3), "fletcher32": True}),
    ):
        with h5py.File(name, "w", libver="latest" if name == "checked.h5" else None) as file:
            file.create_dataset("data", data=numbers.rand(7, 3).astype("f"), **options)
            file["label"] = numbers.randint(0, 9, 7) if name != "packed.h5" else np.arange(7.0)
            file["group/more"] = h5py.SoftLink("/data")
    good = [(Path(name).read_bytes(), hdf5_framing(name)) for name in sorted(os.listdir("."))]
    Path("list.txt").write_text("wrong.h5\n")
    net = (
        'layer { name: "d" type: "HDF5Data" top: "data" top: "label" '
        'hdf5_data_param { source: "list.txt" batch_size: 3 } }'
    )
    Path("net.prototxt").write_text(net)
    while True:
        data, frame = draw.choice(good)
        Path("wrong.h5").write_bytes(mutated(data, draw, frame=frame))
        yield forward("net.prototxt")


def forward(path, passes=3):
    def read():
        net = caffe.Net(path, caffe.TEST)
        for _ in range(passes):
            net.forward()

    return read


def lists(draw):
    import h5py

    pictures()
    with h5py.File("a.h5", "w") as file:
        file["data"] = np.zeros((4, 2), "f")
    seeds = {
        "hdf5": (
            "a.h5\na.h5\n",
            'type: "HDF5Data" top: "data" hdf5_data_param { source: "wrong" batch_size: 3 }',
        ),
        "images": (
            "a.png 0\nb.png 1\nc.png 12\n",
            'type: "ImageData" top: "data" top: "l" image_data_param { source: "wrong" '
            "batch_size: 2 new_height: 8 new_width: 8 }",
        ),
        "windows": (
            "# 0\na.png\n3\n20\n24\n2\n1 0.7 2 2 9 9\n0 0.1 3 3 15 12\n"
            "# 1\nb.png\n3\n20\n24\n1\n2 0.9 2 2 9 9\n",
            'type: "WindowData" top: "data" top: "l" window_data_param { source: "wrong" '
            "batch_size: 4 } transform_param { crop_size: 6 }",
        ),
        "folder": (
            "a\nb\nc\n",
            'type: "Python" top: "data" top: "l" python_param { module: "folder_layers" '
            "layer: \"FolderSegDataLayer\" param_str: \"{'split': 'wrong', 'root': '.', "
            "'mean': (1, 2, 3), 'classes': 255}\" }",
        ),
    }
    for name, (_, layer) in seeds.items():
        Path(name + ".prototxt").write_text(f'layer {{ name: "d" {layer} }}')
    while True:
        name = draw.choice(list(seeds))
        file = "wrong.txt" if name == "folder" else "wrong"
        Path(file).write_bytes(mutate_lines(seeds[name][0], draw))
        yield forward(name + ".prototxt", 2)


def pictures():
    """a, b, c as images, and a folder of images and masks."""
    for folder in (".", "images", "labels"):
        os.makedirs(folder, exist_ok=True)
        for number, name in enumerate("abc"):
            pixels = np.random.RandomState(number).randint(0, 9, (20, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels if folder != "labels" else pixels[..., 0]).save(
                f"{folder}/{name}.png"
            )


def param_str(draw):
    pictures()
    Path("train.txt").write_text("a\nb\nc\n")
    folder = {"split": "train", "root": ".", "mean": [1.0, 2.0, 3.0], "classes": 9, "ignore": 3}
    augmented = {
        **folder,
        **{"batch_size": 2, "crop": [8, 8], "scale": [0.5, 2.0], "mirror": True, "seed": 3},
        **{"randomize": True, "cache": True, "workers": 1, "images_dir": "images"},
    }
    others = {
        "voc_layers": ("VOCSegDataLayer", {"voc_dir": ".", "split": "train", "mean": [1, 2, 3]}),
        "nyud_layers": (
            "NYUDSegDataLayer",
            {"nyud_dir": ".", "split": "train", "tops": ["color", "label"]},
        ),
        "siftflow_layers": ("SIFTFlowSegDataLayer", {"siftflow_dir": ".", "split": "train"}),
        "camvid_layers": ("CamVidSegDataLayer", {"camvid_dir": ".", "split": "train"}),
    }
    while True:
        module, layer, values = (
            "folder_layers",
            "FolderSegDataLayer",
            draw.choice((folder, augmented)),
        )
        if draw.random() < 0.2 and not draw.good:
            module = draw.choice(list(others))
            layer, values = others[module]
        text = repr(mutate_values(values, draw))
        if draw.random() < 0.1 and not draw.good:
            text = draw.choice(
                (deep("[]", 40), deep("()", 3000), "", "7", "{1: 2}", "{[]: 1}", "{'a': x}")
            )
        message = caffe.proto.caffe_pb2.NetParameter()
        layer_of_net = message.layer.add(name="d", type="Python", top=["data", "label"])
        layer_of_net.python_param.module = module
        layer_of_net.python_param.layer = layer
        with contextlib.suppress(ValueError, UnicodeEncodeError):  # no text that protobuf takes
            layer_of_net.python_param.param_str = text
        Path("net.prototxt").write_text(str(message))
        yield forward("net.prototxt", 2)


def sidecar(draw):
    for name, suffix in (("train_iter_5", s) for s in PAIR):
        Path(f"{name}.{suffix}").write_bytes(b"abc")
    good = {
        **{"format": 1, "iter": 5, "steps": 9, "seed": 3, "run": "2026", "losses": [[1.0, 2.0]]},
        **{"positions": {"data": {"drawn": 3, "epoch": 0}}, "data": {"voc_dir": "x"}},
        **{"threads": 2, "device": "CPU", "sizes": dict.fromkeys(PAIR, 3), "base_lr": 0.1},
    }

    def read():
        found = Snapshots(".").newest()
        if found is None:
            raise LookupError("none")
        given = argparse.Namespace(weights=None, seed=None, steps=None)
        check_resumable(found[1], given, {"threads": 2, "device": "CPU"}, "here")

    while True:
        Path("train_iter_5.json").write_bytes(mutate_json(good, draw))
        yield read


def described():
    return {
        **{"name": "mine", "classes": 2, "names": ["a", "b"], "palette": [[0, 0, 0], [9, 9, 9]]},
        **{"mean": [1.0, 2.0, 3.0], "size": [20, 24], "images": {"train": 2, "val": 1}},
        "layer": {
            "module": "folder_layers",
            "layer": "FolderSegDataLayer",
            "train": {"root": ".", "split": "train", "mean": [1, 2, 3], "classes": 2},
            "val": {"root": ".", "split": "val", "mean": [1, 2, 3], "classes": 2},
        },
    }


def dataset(draw):
    def read():
        try:
            read_description("dataset.json")
        except ValueError as error:  # what its users tell in one line
            raise LookupError(error) from error

    while True:
        Path("dataset.json").write_bytes(mutate_json(described(), draw))
        yield read


def experiment(draw):
    os.makedirs("mine", exist_ok=True)
    here = os.path.abspath("mine")
    good = {
        **{"dataset": os.path.abspath("dataset.json"), "backbone": "vgg16", "stride": 8},
        **{"head": None, "at_once": True, "classes": None, "after": None, "two_stream": False},
        "record": described(),
    }
    while True:
        Path("mine/experiment.json").write_bytes(mutate_json(good, draw))
        yield lambda: run_files.experiment(here)


def records(draw):
    folder = made_run.make(os.getcwd(), "mine", steps=(40,), count=3)
    step = os.path.join(folder, "scored", "0000040")
    named = ("run.json", "train.csv", "results.csv", "deploy.prototxt", "log.txt")
    files = [os.path.join(folder, name) for name in named]
    files += [os.path.join(step, name) for name in ("images.csv", "confusion.csv")]
    good = {path: Path(path).read_text() for path in files}
    while True:
        path = draw.choice(files)
        if path.endswith(".json"):
            data = mutate_json(json.loads(good[path]), draw)
        else:
            text = good[path].replace(" ", "\x07").replace(",", " ")
            data = mutate_lines(text, draw).replace(b" ", b",").replace(b"\x07", b" ")
        Path(path).write_bytes(data)
        yield lambda: page([report.read(folder)])
        Path(path).write_text(good[path])


def npy(draw):
    good = []
    for array in (np.zeros((4, 5), np.uint8), np.arange(10).reshape(2, 5)):
        stream = io.BytesIO()
        np.save(stream, array)
        good.append(stream.getvalue())
    headers = [
        *(
            f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({n},), }}"
            for n in ("2**9", 10**18)
        ),
        "{'descr': '|O', 'fortran_order': False, 'shape': (4, 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -5), }",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (4, 5), }",
        "{'descr': '|V20', 'fortran_order': 7, 'shape': [4, 5], }",
        *("", "{", "[]", "7", deep("[]"), deep("()"), "x", "{'shape': open('x')}", "\0" * 9, "é"),
    ]
    while True:
        if draw.random() < 0.3 and not draw.good:
            text = draw.choice(headers).encode("latin-1") + b"\n"
            data = b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + bytes(20)
        else:
            data = mutated(draw.choice(good), draw, frame=list(range(128)))
        Path("wrong.npy").write_bytes(data)
        yield lambda: classify.read_array("wrong.npy")
        yield lambda: predictions.read_label_map("wrong.npy")


def mean(draw):
    mean_file.write("good", np.ones((3, 4, 5), "f"))
    data = Path("good").read_bytes()
    while True:
        Path("wrong.binaryproto").write_bytes(mutated(data, draw))
        yield lambda: mean_file.read("wrong.binaryproto")
        yield lambda: classify.read_mean("wrong.binaryproto")


KINDS = {
    function.__name__: function
    for function in (
        *(hdf5data, lists, param_str, sidecar, dataset, experiment, records, npy, mean),
    )
}


# Running ------------------------------------------------------------------------------------------


def outcome(read):
    """'taken', 'refused', or what went wrong."""
    try:
        with in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
        return "taken"
    except USER_ERRORS as error:
        told = str(error)
        return (
            "refused"
            if told and len(told) < 10000 and not isinstance(error, KeyError)
            else f"a message of {len(told)} characters"
        )
    except Late:
        return "a hang"
    except Exception as error:
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-3:]
        lines = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(where))
        return f"{type(error).__name__}: {str(error)[:200]} ({lines})"


def child(kind, count, seed, skip, report_to):
    """Read the files of a kind from number ``skip`` on, a line of JSON for each."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
    sys.stdout = sys.stderr = open(os.devnull, "w")
    draw = Draw(f"{kind} {seed}")
    readers = KINDS[kind](draw)
    for number in range(count):
        draw.good = number < GOOD
        read = next(readers)
        if number >= skip:
            result = outcome(read)
            if draw.good and result != "taken":
                result = f"a good file is not taken: {result}"
            os.write(report_to, f"{json.dumps([number, result])}\n".encode())


def run(kind, count, seed=1):
    """{outcome: how often}"""
    import torch  # noqa: F401  (in time: on a busy machine it takes longer than a file may)

    counts, done = {}, 0
    while done < count:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.close(reading)
                with tempfile.TemporaryDirectory() as folder:
                    os.chdir(folder)
                    child(kind, count, seed, done, writing)
            finally:
                os._exit(0)
        os.close(writing)
        rest = b""
        while True:
            ready, _, _ = select.select([reading], [], [], 3 * SECONDS)
            if not ready:
                os.kill(pid, signal.SIGKILL)
            data = os.read(reading, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                number, result = json.loads(line)
                counts[result] = counts.get(result, 0) + 1
                done = number + 1
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        if done < count:
            result = f"the process ended with status {status} at file {done}"
            counts[result] = counts.get(result, 0) + 1
            done += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--count", type=int, default=1500, help="of each kind, default 1500")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: all")
    args = parser.parse_args()
    wrong = 0
    for kind in args.kind or KINDS:
        counts = run(kind, args.count, args.seed)
        good = {name: counts.pop(name, 0) for name in ("refused", "taken")}
        told = [f"{number} {name}" for name, number in good.items()]
        print(f"{kind}: {', '.join(told)}, {sum(counts.values())} otherwise", flush=True)
        for result, number in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"  {number} x {result}")
        wrong += sum(counts.values())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
