"""Adds to each class's score what gives the best mean IU on val, and tells what that is worth.

    python benchmarks/score_bias.py camvid-fcn4s-lite0 --data CAMVID --out DIR

A net is trained so that its best class is the likeliest one. Mean IU asks for something else: a
pixel that is a pole with a probability of 0.3 should be called a pole where half of all poles are
missed anyway. A constant for each class, added to the bias of the last score layer, moves that
border, and nothing else. (Menon et al. 2021 call it logit adjustment.)

The constants are fitted on val by coordinate ascent. How much they are worth is told by halves of
val: fitted on every other image, scored on the rest, and the other way round. Only if that gains is
DIR/<net>.caffemodel written, with constants fitted on all of val. Test is not read.
"""

import argparse
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from collections import OrderedDict

import numpy as np

import bootstrap
import caffe
import data
import score
from caffe.proto import caffe_pb2
from fcn import catalog, device
from fcn.atomic import replacing
from fcn.build import build
from fcn.console import exit_code
from fcn.engine import forward
from fcn.prototxt import write_prototxt
from fcn.weights.load import load_weights

#: Of each axis every fourth pixel is looked at: neighbours say the same.
EVERY = 4
STEPS = (1.0, 0.5, 0.25)
LAYER = "score_fr"


def samples(name, folder, weights, out):
    """[(truth (n,), scores (classes, n)), …] of val's images: every EVERYth pixel of both axes."""
    experiment = catalog.experiment(name)
    dataset = experiment.dataset
    params = OrderedDict(dataset.val.params, **{dataset.folders[0]: folder})
    val = dataset.val._replace(params=params)
    described = build(experiment._replace(dataset=dataset._replace(val=val)), "val")
    net = caffe.Net(write_prototxt(os.path.join(out, "val.prototxt"), described), caffe.TEST)
    load_weights(net, weights)
    layer = next(one for one in net.layers if hasattr(one, "seek"))
    found = []
    for _ in layer.entries:
        forward(net)
        truth = net.blobs["label"].data[0, 0, ::EVERY, ::EVERY].ravel().astype(np.int64)
        scores = net.blobs["score"].data[0][:, ::EVERY, ::EVERY].reshape(-1, truth.size)
        known = truth < experiment.dataset.classes
        found.append((truth[known], scores[:, known].astype(np.float32)))
    return found


def histogram(truth, scores, bias):
    """Rows truth, of scores (classes, n) with a constant added to each class."""
    return score.fast_hist(truth, (scores + bias[:, None]).argmax(0), len(bias))


def fitted(truth, scores, most):
    """The constants, 0 for the first class at first, of the best mean IU; none beyond ±most."""
    bias = np.zeros(len(scores), np.float32)
    best = score.metrics(histogram(truth, scores, bias)).mean_iu
    for step in STEPS:
        improved = True
        while improved:
            improved = False
            for i in range(len(bias)):
                for change in (step, -step):
                    tried = bias.copy()
                    tried[i] += change
                    if abs(tried[i]) > most:
                        continue
                    value = score.metrics(histogram(truth, scores, tried)).mean_iu
                    # Smaller gains are of a few pixels.
                    if value > best + 5e-4:
                        bias, best, improved = tried, value, True
                        break
    return bias


def joined(images):
    return np.concatenate([t for t, _ in images]), np.concatenate([s for _, s in images], 1)


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n\n")[0])
    say, path = parser.add_argument, bootstrap.user_path
    say("net", choices=("camvid-fcn4s-lite0", "voc-fcn4s-lite0"))
    say("--data", required=True, metavar="DIR", type=path)
    say("--out", required=True, metavar="DIR", type=path)
    say("--weights", metavar="FILE", type=path, help="(default: the shipped ones)")
    say("--most", type=float, default=2.0, help="of a constant (default: 2)")
    say("--gpu", type=int, metavar="N")
    args = parser.parse_args(argv)
    bootstrap.enter()
    os.makedirs(args.out, exist_ok=True)
    device.use(args.gpu)
    weights = args.weights or f"nets/{args.net}/{args.net}.caffemodel"
    images = samples(args.net, args.data, weights, args.out)
    dataset = catalog.experiment(args.net).dataset
    classes, names = dataset.classes, data.names_of(dataset).CLASSES
    plain, crossed = (np.zeros((classes, classes), np.int64) for _ in range(2))
    for half in (0, 1):
        bias = fitted(*joined(images[half::2]), args.most)
        crossed += histogram(*joined(images[1 - half :: 2]), bias)
        print(f"half {half}: " + ", ".join(f"{n} {b:+.2f}" for n, b in zip(names, bias) if b))
    whole = joined(images)
    plain += histogram(*whole, np.zeros(classes, np.float32))
    bias = fitted(*whole, args.most)
    print("all: " + ", ".join(f"{n} {b:+.2f}" for n, b in zip(names, bias) if b))
    table = [
        ("as trained", score.metrics(plain)),
        ("fitted on the other half", score.metrics(crossed)),
        ("fitted on the same images", score.metrics(histogram(*whole, bias))),
    ]
    print(
        f"\n| {args.net}, {len(images)} images | mean IU | accuracy | " + " | ".join(names) + " |"
    )
    print("|---|---:|---:|" + "---:|" * classes)
    for label, found in table:
        ious = " | ".join(f"{100 * iou:.1f}" for iou in found.iu)
        print(
            f"| {label} | {100 * found.mean_iu:.2f} | {100 * found.overall_accuracy:.2f} | {ious} |"
        )
    if table[1][1].mean_iu <= table[0][1].mean_iu:
        print("\nno gain on images that it was not fitted on: nothing is written")
        return 0
    target = os.path.join(args.out, args.net + ".caffemodel")
    write(weights, target, bias)
    print(f"\n{bootstrap.shown(target)}")
    return 0


def write(source, target, bias):
    """Copy a caffemodel with the constants added to the bias of LAYER, all else as it is."""
    net = caffe_pb2.NetParameter()
    with open(source, "rb") as f:
        net.ParseFromString(f.read())
    layer = next(each for each in net.layer if each.name == LAYER)
    values = np.asarray(layer.blobs[1].data, np.float32) + bias
    del layer.blobs[1].data[:]
    layer.blobs[1].data.extend(values.tolist())
    with replacing(target) as temporary, open(temporary, "wb") as f:
        f.write(net.SerializeToString())


if __name__ == "__main__":
    sys.exit(exit_code(main))
