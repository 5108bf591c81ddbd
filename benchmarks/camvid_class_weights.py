"""camvid-fcn4s-lite0 trained with class weights, and averages of its weights along the way.

    python benchmarks/camvid_class_weights.py --data CAMVID --out DIR
    python benchmarks/camvid_class_weights.py --data CAMVID --out DIR --gpu 0 --precision tf32 \\
        --weights ilsvrc-nets/efficientnet-lite0.caffemodel --rate 1e-3 --steps 3200 --batch 16 \\
        --crop 353 --workers 3

The first goes on from the shipped weights, at a low rate, for some minutes of a CPU; the second is
the shipped recipe anew. A pixel's loss counts by (median share / share of its class) ** power, by
InfogainLoss, so in any Caffe; at power 0 all count alike. Candidates are the last weights, the mean
of those of the last half (Izmailov et al. 2018), and, from the shipped ones, the middle between
these and that mean. All are scored on val; the best are written as best.caffemodel. Test is not
read.
"""

import argparse
import os
import sys
import time
from collections import OrderedDict

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np

import bootstrap
import caffe
import score
import surgery
from caffe.proto import caffe_pb2
from data.camvid import CLASSES
from fcn import catalog, device
from fcn.build import build
from fcn.console import exit_code
from fcn.prototxt import to_text
from papers import edits
from papers.class_balancing import write_matrix
from segdata.camvid import list_camvid, read_camvid_label

NET = "camvid-fcn4s-lite0"
SHIPPED = f"nets/{NET}/{NET}.caffemodel"


def class_weights(folder, power):
    """(median share / share) ** power of each class in the training pictures, as a list."""
    counts = np.zeros(256, np.int64)
    for _, label in list_camvid(folder, "train"):
        counts += np.bincount(read_camvid_label(label).ravel(), minlength=256)
    shares = counts[: len(CLASSES)] / counts[: len(CLASSES)].sum()
    return (np.median(shares) / shares) ** power


def write_nets(args, weights):
    """Write train.prototxt, val.prototxt and solver.prototxt to args.out; the solver's path."""
    row = catalog.experiment(NET)
    train = OrderedDict(
        row.dataset.train.params,
        camvid_dir=args.data,
        seed=args.seed,
        batch_size=args.batch,
        crop=(args.crop, args.crop),
        scale=tuple(args.scale),
        light=args.light,
        color=args.light,
        workers=args.workers,
    )
    val = OrderedDict(row.dataset.val.params, camvid_dir=args.data)
    dataset = row.dataset._replace(
        train=row.dataset.train._replace(params=train), val=row.dataset.val._replace(params=val)
    )
    solver = caffe_pb2.SolverParameter(
        type="Adam",
        momentum=0.9,
        momentum2=0.999,
        delta=1e-8,
        base_lr=args.rate,
        lr_policy="poly",
        power=0.9,
        max_iter=args.steps,
        weight_decay=1e-5,
        random_seed=args.seed,
        test_interval=10**9,
        test_initialization=False,
        display=0,
        snapshot_after_train=False,
        snapshot_prefix=os.path.join(args.out, "train"),
    )
    solver.test_iter.append(1)
    for phase in ("train", "val"):
        net = build(row._replace(dataset=dataset), phase)
        if phase == "train" and args.power:
            path = write_matrix(os.path.join(args.out, "weights.binaryproto"), weights)
            edits.weighted_loss(path)(net, phase, args.seed)
        path = _write(os.path.join(args.out, phase + ".prototxt"), net)
        if phase == "train":
            solver.train_net = path
        else:
            solver.test_net.append(path)
    return _write(os.path.join(args.out, "solver.prototxt"), solver)


def _write(path, message):
    with open(path, "w", encoding="utf-8") as f:
        f.write(to_text(message))
    return path


def values(net):
    return OrderedDict((k, [b.data.astype(np.float64) for b in v]) for k, v in net.params.items())


def put(net, found):
    for name, blobs in found.items():
        for blob, value in zip(net.params[name], blobs):
            blob.data[...] = value


def mixed(first, second, share):
    """(1 - share) of the first and share of the second."""
    return OrderedDict(
        (name, [(1 - share) * a + share * b for a, b in zip(first[name], second[name])])
        for name in first
    )


def main(argv=None):
    args = _arguments(argv)
    bootstrap.enter()
    os.makedirs(args.out, exist_ok=True)
    print(device.use(args.gpu, args.precision))
    weights = class_weights(args.data, args.power)
    print("weights: " + ", ".join(f"{n} {w:.2f}" for n, w in zip(CLASSES, weights)))
    solver = caffe.get_solver(write_nets(args, weights))
    net, test = solver.net, solver.test_nets[0]
    surgery.load(net, args.weights)
    surgery.interp(net, surgery.uses_upsampling(net))
    began, losses, mean, taken = values(net), [], None, 0
    clock = time.time()
    while solver.iter < args.steps:
        solver.step(1)
        losses.append(float(net.blobs["loss"].data.sum()))
        if solver.iter % args.display == 0:
            recent = np.mean(losses[-args.display :])
            print(f"step {solver.iter}: loss {recent:.4f}, {time.time() - clock:.0f} s", flush=True)
        if solver.iter > args.steps // 2 and solver.iter % args.every == 0:
            taken += 1
            now = values(net)
            mean = now if mean is None else mixed(mean, now, 1 / taken)
    candidates = OrderedDict(start=began, last=values(net))
    if mean:
        candidates[f"mean of {taken}"] = mean
        candidates["middle of start and mean"] = mixed(began, mean, 0.5)
    if os.path.abspath(args.weights) != os.path.abspath(SHIPPED):
        candidates = OrderedDict((k, v) for k, v in candidates.items() if "start" not in k)
    _choose(net, test, candidates, args)
    return 0


def _choose(net, test, candidates, args):
    """Score all on val, print the table, write the best."""
    images = len(list_camvid(args.data, "val"))
    best = (-1.0, "")
    print(f"\n| val, {images} images | mean IU | " + " | ".join(CLASSES) + " |")
    print("|---|" + "---:|" * (1 + len(CLASSES)))
    for name, candidate in candidates.items():
        put(net, candidate)
        test.share_with(net)
        hist, _ = score.compute_hist(test, None, [str(i) for i in range(images)])
        found = score.metrics(hist)
        print(f"| {name} | {100 * found.mean_iu:.2f} | ", end="")
        print(" | ".join(f"{100 * iou:.1f}" for iou in found.iu) + " |", flush=True)
        if found.mean_iu > best[0]:
            best = (found.mean_iu, name)
            net.save(os.path.join(args.out, "best.caffemodel"))
    print(f"\nbest on val: {best[1]}, in {bootstrap.shown(args.out)}/best.caffemodel")


def _arguments(argv):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n\n")[0])
    say = parser.add_argument
    path = bootstrap.user_path
    say("--data", required=True, metavar="CAMVID", type=path)
    say("--out", required=True, metavar="DIR", type=path)
    say("--weights", default=os.path.join(bootstrap.HOME, SHIPPED), metavar="FILE", type=path)
    say("--power", type=float, default=0.5, help="of the class weights (default: 0.5)")
    say("--steps", type=int, default=160)
    say("--rate", type=float, default=2e-4)
    say("--batch", type=int, default=4)
    say("--crop", type=int, default=289)
    say("--scale", type=float, nargs=2, default=(0.6, 1.6), metavar=("LOW", "HIGH"))
    say("--light", type=float, default=0.35, help="change of light and colour (default: 0.35)")
    say("--seed", type=int, default=1)
    say("--every", type=int, default=5, help="steps between weights that are averaged")
    say("--display", type=int, default=20)
    say("--workers", type=int, default=1)
    say("--gpu", type=int, metavar="N")
    say("--precision", default="fp32")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(exit_code(main))
