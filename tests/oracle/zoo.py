"""Compare the published classifiers with BVLC Caffe: the same weights, every blob.

    python tests/oracle/zoo.py [--root DIR] [--nets alexnet,resnet50] [--forms deploy,train_val]
    python tests/oracle/zoo.py --nets efficientnet-lite1 --forms deploy --weights ilsvrc-nets

BVLC Caffe writes one caffemodel of random weights, both programs load it. Forms: deploy, with two
items, or one in the published nets of that size, in the TEST phase; old, the same in the syntax of
its time (V1 `layers`, `input_dim`), where deploy was published so; train_val, with an Input in
place of the data layers, in the TRAIN phase with its dropout masks and its losses. Each blob must
agree within 1e-3 of its largest value. One net is compared at a time, and its weights are deleted.
With --weights DIR both load DIR/<net>.caffemodel, published weights, in place of random ones.
"""

import argparse
import json
import os
import sys
import tempfile

import numpy as np
import rows
from root import CHECKOUT, OracleMissing, default_root
from sides import HERE, Bvlc, Engine
from whole_nets import TOLERANCE, check

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, CHECKOUT)
from caffe.proto import caffe_pb2
from fcn.classifiers import catalog, lstm
from nets import classifiers

RUNNER = os.path.join(HERE, "zoo_runner.py")
FORMS = ("deploy", "old", "train_val")
DATA_TYPES = ("Data", "HDF5Data")
BATCH = 2


def shape_of(row, top):
    """The shape of a data layer's top in train_val."""
    if row.input is None:
        size = lstm.PUBLISHED if row.name == "lrcn" else lstm.SMALL
        steps, sentences = min(size.steps, 4), min(size.sentences, 5)
        return (sentences, size.features) if top == "image_features" else (steps, sentences)
    if top in ("label", "sim"):
        return (BATCH,)
    channels = 2 if top == "pair_data" else row.input[1]
    return (BATCH, channels) + tuple(row.input[2:])


def net_of(row, form):
    """(NetParameter, phase) of one form, with small inputs; None where it has no old form."""
    if form == "old" and row.old is None:
        return None
    if form != "train_val":
        net = classifiers.build(row.name, "deploy", row.old if form == "old" else None)
        for layer in net.layer:
            for shape in layer.input_param.shape:
                _shrink(row, shape.dim)
        if net.input_dim:
            _shrink(row, net.input_dim)
        for shape in net.input_shape:
            _shrink(row, shape.dim)
        return net, "TEST"
    net = classifiers.build(row.name, form)
    made = caffe_pb2.NetParameter(name=net.name)
    for layer in net.layer:
        if layer.type not in DATA_TYPES:
            made.layer.add().CopyFrom(layer)
        elif layer.include[0].phase == caffe_pb2.TRAIN:
            inputs = made.layer.add(name=layer.name, type="Input", top=layer.top)
            for top in layer.top:
                inputs.input_param.shape.add(dim=shape_of(row, top))
    return made, "TRAIN"


def _shrink(row, dims):
    """Fewer items: of images on axis 0, of words on the axis of the sentences."""
    axis = 1 if row.input is None and dims[0] == 1 else 0
    dims[axis] = min(dims[axis], 5 if row.input is None else BATCH)


def run(side, out, arguments, binds):
    os.makedirs(out)
    done = side.run(RUNNER, arguments, binds=binds, capture_output=True)
    if done.returncode:
        log = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{side.title} failed: {log[-1500:]}")
    with open(os.path.join(out, "index.json")) as stream:
        return json.load(stream)


def compare(row, form, root, work, published=None):
    """(number of arrays, problems, worst share of the maximum, its blob).

    published: a caffemodel to load; None: random weights are written first.
    """
    net, phase = net_of(row, form)
    path, weights = (os.path.join(work, name) for name in ("net.prototxt", "net.caffemodel"))
    with open(path, "w") as stream:
        stream.write(classifiers.text(net))
    folders = [os.path.join(work, name) for name in ("expected", "found")]
    write, binds = ["--write"], [work]
    if published:
        weights, write, binds = published, [], [work, os.path.dirname(published)]
    expected = run(Bvlc(root), folders[0], [path, phase, weights, folders[0], *write], binds)
    found = run(Engine(), folders[1], [path, phase, weights, folders[1]], [work])
    if expected["engine"] == found["engine"]:
        raise RuntimeError("both sides were produced by " + expected["engine"])
    if expected["arrays"] != found["arrays"]:
        raise RuntimeError("the two sides have different blobs")
    problems, worst = [], (0.0, "nothing")
    for number, name in enumerate(expected["arrays"]):
        a, b = (np.load(os.path.join(f, f"{number:03d}.npy")) for f in folders)
        share, problem = check(a, b)
        worst = max(worst, (share, name))
        if problem:
            problems.append(f"{name}: {problem}")
    return len(expected["arrays"]), problems, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--nets", default=",".join(catalog.CLASSIFIERS), help="default: all")
    parser.add_argument("--forms", default=",".join(FORMS), help="default: %(default)s")
    parser.add_argument("--weights", metavar="DIR", help="published weights, <net>.caffemodel")
    arguments = parser.parse_args()
    bad = 0
    for name in arguments.nets.split(","):
        row = catalog.classifier(name)
        for form in arguments.forms.split(","):
            if form == "old" and row.old is None:
                continue
            count, worst, published = 0, (np.inf, ""), None
            if arguments.weights:
                published = os.path.abspath(os.path.join(arguments.weights, name + ".caffemodel"))
                if not os.path.isfile(published):
                    sys.exit(f"oracle: nothing was compared: no file {published}")
            with tempfile.TemporaryDirectory(prefix="zoo-") as work:
                try:
                    count, problems, worst = compare(row, form, arguments.root, work, published)
                except OracleMissing as error:
                    sys.exit(f"oracle: nothing was compared: {error}")
                except RuntimeError as error:
                    problems = [str(error)]
            title = f"{name} {form}" + (f" ({row.old})" if form == "old" else "")
            outcome = f"{len(problems)} differ: {'; '.join(problems[:3])}" if problems else "agree"
            print(
                f"{title:<26} {count:>4} arrays, worst {worst[0]:.2g} of the maximum "
                f"({worst[1]}): {outcome}",
                flush=True,
            )
            rows.add(
                "Nets",
                title,
                count,
                len(problems),
                worst[0] / TOLERANCE,
                "every blob, forward, from "
                + ("published weights" if published else "one caffemodel"),
            )
            bad += bool(problems)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
