"""pycaffe's Python half under BVLC Caffe and under the engine, compared.

    python tests/oracle/pycaffe_both.py [--root DIR]

A net with random weights classifies small pictures, whole and in windows; the graphs and labels of
draw must be equal, the predictions within TOLERANCE of their maximum. Then score_cityscapes.py, of
examples/, scores generated pictures with a random FCN-8s: its text must be equal. Last, TESTS pass
under both: what calls take, return and refuse, and scripts as people published them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import rows
from PIL import Image
from root import CHECKOUT, OracleMissing, default_root
from sides import HERE, Bvlc, Engine

sys.path.insert(0, os.path.join(CHECKOUT, "tests"))
sys.path.insert(0, CHECKOUT)
import fcn_helpers  # noqa: F401  finds a caffe, and quiet logs: the nets are made here
from cityscapes_sample import make_sample

import caffe

TOLERANCE = 1e-5
SCORING = os.path.join(CHECKOUT, "examples", "score_cityscapes.py")
FOLDER = os.path.join(CHECKOUT, "tests", "caffe")  # of TESTS
TESTS = {"test_pycaffe_interface.py": "rules of calls", "test_pycaffe_scripts.py": "scripts"}
PASSED = re.compile(r"(\d+) passed")
SIZES = [(24, 19), (31, 26)]  # width and height of the pictures

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 4 dim: 3 dim: 12 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def run(side, folder, name):
    """What one side found: its engine, arrays by name, what it drew."""
    out = os.path.join(folder, name)
    done = side.run(
        os.path.join(HERE, "pycaffe_runner.py"), [folder, out], binds=[folder], capture_output=True
    )
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{side.title} failed:\n{log[-3000:]}")
    with open(out + ".json") as stream:
        texts = json.load(stream)
    with np.load(out + ".npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    return texts["engine"], arrays, texts["draw"]


def compare_arrays(expected, found):
    """{group: (cases, problems, largest difference / allowed)} of arrays by name."""
    groups = {}
    for name in sorted(set(expected) | set(found)):
        a, b = expected.get(name), found.get(name)
        group = groups.setdefault(name.split(",")[0], [0, [], 0.0])
        group[0] += 1
        if a is None or b is None or a.shape != b.shape:
            group[1].append(
                f"{name}: {getattr(a, 'shape', None)} expected, {getattr(b, 'shape', None)} found"
            )
            continue
        largest = float(np.abs(a).max())
        share = float(np.abs(a - b).max()) / (TOLERANCE * largest) if largest else float(np.any(b))
        group[2] = max(group[2], share)
        if not share <= 1:
            group[1].append(f"{name} differs by {share * TOLERANCE:.3g} of its maximum")
    return groups


def prepare(folder):
    """The net, its weights and the pictures that both sides use."""
    rng = np.random.RandomState(3)
    path = os.path.join(folder, "net.prototxt")
    with open(path, "w") as stream:
        stream.write(NET)
    caffe.set_random_seed(5)
    caffe.Net(path, caffe.TEST).save(os.path.join(folder, "net.caffemodel"))
    for i, (width, height) in enumerate(SIZES):
        noise = rng.randint(0, 256, (height // 4 + 1, width // 4 + 1, 3)).astype(np.uint8)
        picture = Image.fromarray(noise).resize((width, height), Image.BICUBIC)
        picture.save(os.path.join(folder, f"{i}.png"))


def interface(sides):
    """Yields (row's name, cases, problems, worst share or None) for classes and draw."""
    with tempfile.TemporaryDirectory(prefix="pycaffe-both-") as folder:
        prepare(folder)
        names, arrays, drawn = zip(*(run(s, folder, n) for s, n in zip(sides, ("a", "b"))))
    same = [f"both sides were produced by {names[0]}"] if names[0] == names[1] else []
    for group, (cases, problems, worst) in compare_arrays(*arrays).items():
        yield group, cases, problems + same, worst
    differ = [
        f"{key}: {drawn[0].get(key)} expected, {drawn[1].get(key)} found"
        for key in sorted(set(drawn[0]) | set(drawn[1]))
        if drawn[0].get(key) != drawn[1].get(key)
    ]
    yield "draw", len(drawn[0]), differ + same, None


def scoring(sides):
    """The same for examples/score_cityscapes.py."""
    with tempfile.TemporaryDirectory(prefix="cityscapes-") as folder:
        arguments = make_sample(folder)
        logs = []
        for side in sides:
            out = os.path.join(folder, side.title.split()[0])
            done = side.run(
                SCORING,
                [*arguments, "--output-dir", out],
                binds=[folder],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            if done.returncode != 0:
                raise RuntimeError(f"{side.title}: {done.stderr.decode(errors='replace')[-3000:]}")
            with open(os.path.join(out, "evaluation_results.txt")) as stream:
                text = stream.read()
            logs.append((done.stdout.decode(), text))
    problems = []
    if logs[0] != logs[1]:
        problems.append(f"{logs[0]} expected, {logs[1]} found")
    if len(logs[0][1].splitlines()) < 20:
        problems.append("no score of each class was written")
    yield "score_cityscapes.py (FCN-8s)", 1, problems, None


def tests(sides):
    """The same for tests that run on both programs; what only one of them can is skipped there."""
    runner = os.path.join(HERE, "pytest_runner.py")
    for name, row in TESTS.items():
        path = os.path.join(FOLDER, name)
        engines, counts, problems = [], [], []
        for side in sides:
            done = side.run(
                runner,
                ["--noconftest", "-v", path],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            lines = done.stdout.decode(errors="replace").strip().splitlines() or [""]
            engines.append(lines[0])
            passed = PASSED.search(lines[-1])
            counts.append(int(passed.group(1)) if passed else 0)
            if done.returncode != 0 or not counts[-1]:
                problems.append(f"{side.title}: " + " | ".join(lines[-8:]))
        if engines[0] == engines[1]:
            problems.append(f"both sides ran {engines[0]}")
        yield f"{row} ({name})", min(counts), problems, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    sides = [Bvlc(parser.parse_args().root), Engine()]
    bad = 0
    try:
        for part in (interface, scoring, tests):
            for name, cases, problems, worst in part(sides):
                section = "FCN" if part is scoring else "Python interface"
                text = "; ".join(problems) or "agrees"
                print(f"{name}: {cases} compared: {text}", flush=True)
                rows.add(section, name, cases, len(problems), worst)
                bad += bool(problems)
    except OracleMissing as error:
        sys.exit(f"oracle: nothing was compared: {error}")
    except RuntimeError as error:
        sys.exit(f"oracle: {error}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
