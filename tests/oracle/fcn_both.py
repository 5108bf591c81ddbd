"""The toy FCN's solve.py and infer.py under BVLC Caffe and under the engine, results compared.

    python tests/oracle/fcn_both.py [--root DIR]

Draws a small toy dataset. Then toy-fcn32s, 16s and 8s are trained by both programs from the same
seed and weights: those of the fillers for 32s, BVLC Caffe's of the stage before for the others.
Each stage is run twice. After SHORT steps all weights are compared, and the scores of val. After
LONG steps, which end in weights that find something, the scores alone: once in some 40 steps
rounding decides the side of a ReLU or the maximum of a pooling window, and BatchNorm carries the
difference everywhere, where it grows. Last, infer.py labels pictures of several kinds with one and
the same weights: the label maps must be equal in every pixel, the shares in every character.

Exit status: 1 on any difference, or when both sides turn out to be the same engine.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
import rows
from PIL import Image
from root import CHECKOUT, OracleMissing, default_root
from sides import HERE, Bvlc, Engine

sys.path.insert(0, CHECKOUT)
import bootstrap  # noqa: F401  finds a caffe: its messages read caffemodels here
from caffe.proto import caffe_pb2
from data import toy

STAGES = ("toy-fcn32s", "toy-fcn16s", "toy-fcn8s")
SIZE = (101, 67)  # width and height of the dataset's pictures: odd, so that rounding up shows
SHORT, LONG = 3, 20
# |a−b| ≤ ABSOLUTE + RELATIVE·max|a| for each parameter blob after SHORT steps, a of BVLC Caffe.
# Measured over 21 stages (datasets, seeds, sizes): below 0.01 of that, and up to 0.4 where a ReLU
# fell over. Rounding down in pooling gives 300, BatchNorm's variance without m/(m−1) gives 40.
ABSOLUTE, RELATIVE = 1e-4, 1e-3
# Of each measure and the loss. Measured: below 1e-6 in six stages of SHORT steps; after LONG, in
# the 21 stages, from 1e-8 to 4e-3.
SCORES = {SHORT: 1e-3, LONG: 2e-2}
MEASURES = ("overall_accuracy", "mean_accuracy", "mean_iu", "fwavacc", "loss")
ENGINE = re.compile(r"^engine: (.+)$", re.MULTILINE)
SHARE = re.compile(r"^ +\d+\.\d%  .+$", re.MULTILINE)


def execute(side, folder, script, *arguments):
    """Run a script of the checkout; returns the engine's name and the output."""
    runner = os.path.join(HERE, "fcn_runner.py")
    done = side.run(
        runner,
        [os.path.join(CHECKOUT, script), *arguments],
        binds=[folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    log = done.stdout.decode(errors="replace")
    name = ENGINE.search(log)
    if done.returncode != 0 or name is None:
        raise RuntimeError(f"{script} on {side.title}, status {done.returncode}:\n{log[-3000:]}")
    return name.group(1), log


def same_engine(names):
    return ["both sides were produced by " + names[0]] if len(set(names)) == 1 else []


def read_weights(path):
    """{(layer, index): float32 array} of a caffemodel."""
    net = caffe_pb2.NetParameter()
    with open(path, "rb") as stream:
        net.ParseFromString(stream.read())
    return {
        (layer.name, i): np.array(blob.data, np.float32).reshape(tuple(blob.shape.dim))
        for layer in net.layer
        for i, blob in enumerate(layer.blobs)
    }


def compare_weights(expected, found):
    """Problems, and the largest difference as a share of what is allowed."""
    if not expected or set(expected) != set(found):
        return [f"different parameters: {sorted(set(expected) ^ set(found)) or 'none'}"], 0.0
    problems, worst = [], 0.0
    for (name, i), a in expected.items():
        b = found[name, i]
        if a.shape != b.shape or a.size == 0:
            problems.append(f"{name} {i}: shape {a.shape} expected, {b.shape} found")
            continue
        largest = float(np.abs(a).max())
        share = float(np.abs(a - b).max()) / (ABSOLUTE + RELATIVE * largest)
        if largest == 0:
            problems.append(f"{name} {i} is all zero, so the comparison says nothing")
        elif not share <= 1:  # NaN is a problem too
            problems.append(
                f"{name} {i} differs by {np.abs(a - b).max():.3g}, {share:.3g} times "
                "what is allowed"
            )
        worst = max(worst, share)
    return problems, worst


def compare_scores(expected, found, allowed):
    """Problems in the lines of two <experiment>.jsonl, and the largest difference."""
    if [r["iter"] for r in expected] != [r["iter"] for r in found] or not expected:
        return ["scored at different steps, or never"], 0.0
    problems, worst = [], 0.0
    for a, b in zip(expected, found):
        if a["pixels"] != b["pixels"]:
            problems.append(
                "step {}: {} pixels expected, {} found".format(a["iter"], a["pixels"], b["pixels"])
            )
        for key in MEASURES:
            apart = abs(a[key] - b[key])
            worst = max(worst, apart)
            if not apart <= allowed:
                problems.append(f"step {a['iter']}: {key} {a[key]:.6f} expected, {b[key]:.6f}")
    return problems, worst


def read_lines(path):
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def train(sides, folder):
    """Train the stages by both sides; yields a line to print and the problems of each run."""
    initial = []
    for stage in STAGES:
        for steps in (SHORT, LONG):
            names, weights, scores = [], [], []
            for side, out in zip(sides, (os.path.join(folder, "a"), os.path.join(folder, "b"))):
                name, _ = execute(
                    side,
                    folder,
                    f"nets/{stage}/solve.py",
                    "--out",
                    f"{out}{steps}",
                    "--steps",
                    steps,
                    "--data",
                    os.path.join(folder, "toy"),
                    *initial,
                )
                names.append(name)
                result = os.path.join(f"{out}{steps}", stage)
                weights.append(result + ".caffemodel")
                scores.append(read_lines(result + ".jsonl"))
            problems, apart = compare_scores(*scores, SCORES[steps])
            text = (
                f"{stage}, {steps} steps by {names[0]} and by {names[1]}: mean IU "
                f"{scores[0][-1]['mean_iu']:.4f}, scores differ by {apart:.2g} "
                f"(allowed {SCORES[steps]})"
            )
            if steps == SHORT:
                more, share = compare_weights(*(read_weights(path) for path in weights))
                problems += more
                text += f", weights by {share:.2g} of what is allowed"
            yield text, problems + same_engine(names)
        initial = ["--weights", weights[0]]


def draw_photos(folder):
    """Pictures as users have them: odd size, grey, transparent, turned by EXIF, tiny."""
    os.mkdir(folder)
    image = toy.draw(173, 131, random.Random(8))[0]
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying on its left side
    paths = [
        os.path.join(folder, name)
        for name in ("odd.jpg", "grey.png", "rgba.png", "exif.jpg", "tiny.png")
    ]
    image.save(paths[0], quality=92)
    image.convert("L").save(paths[1])
    transparent.save(paths[2])
    image.transpose(Image.ROTATE_90).save(paths[3], quality=92, exif=turned.tobytes())
    image.crop((60, 40, 97, 41)).save(paths[4])
    return paths


def label(sides, folder, weights):
    """Label the photos by both sides; yields a line to print and the problems of each photo."""
    photos = draw_photos(os.path.join(folder, "photos"))
    names, outs, logs = [], [], []
    for side, out in zip(sides, (os.path.join(folder, "a"), os.path.join(folder, "b"))):
        name, log = execute(
            side,
            folder,
            "infer.py",
            "--net",
            STAGES[-1],
            "--weights",
            weights,
            "--out",
            out,
            *photos,
        )
        names.append(name)
        outs.append(out)
        logs.append(SHARE.findall(log))
    by = f"by {names[0]} and by {names[1]}"
    for photo in photos:
        stem = os.path.splitext(os.path.basename(photo))[0]
        maps = []
        for out in outs:
            with Image.open(os.path.join(out, stem + "_label.png")) as image:
                maps.append((image.mode, image.getpalette(), np.array(image)))
        yield f"infer.py {os.path.basename(photo)} {by}", compare_maps(*maps)
    problems = same_engine(names)
    if not logs[0] or logs[0] != logs[1]:
        problems.append(f"the printed shares differ: {logs[0]} expected, {logs[1]} found")
    if not any("  " + name in line for line in logs[0] for name in toy.CLASSES[1:]):
        problems.append("background alone was found, so the comparison says nothing")
    yield f"infer.py: {len(logs[0])} printed shares of classes {by}", problems


def compare_maps(expected, found):
    """Problems of two label maps, each (mode, palette, array)."""
    if expected[0] != found[0] or expected[2].shape != found[2].shape:
        return [f"{expected[0]} {expected[2].shape} expected, {found[0]} {found[2].shape} found"]
    problems = [] if expected[1] == found[1] else ["the palettes differ"]
    differ = np.count_nonzero(expected[2] != found[2])
    if differ:
        problems.append(f"{differ} of {expected[2].size} pixels have another label")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    sides = [Bvlc(parser.parse_args().root), Engine()]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="fcn-both-") as folder:
        toy.generate(os.path.join(folder, "toy"), 12, 4, SIZE, 0)
        try:
            weights = os.path.join(folder, f"a{LONG}", STAGES[-1] + ".caffemodel")
            for part in (train(sides, folder), label(sides, folder, weights)):
                for text, problems in part:
                    print(f"{text}: {'; '.join(problems) or 'agrees'}", flush=True)
                    rows.add("FCN", text.split(" by ")[0], 1, bool(problems))
                    bad += bool(problems)
        except OracleMissing as error:
            sys.exit(f"oracle: nothing was compared: {error}")
        except RuntimeError as error:
            sys.exit(f"oracle: {error}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
