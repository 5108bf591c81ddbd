"""Make a published classifier fully convolutional: the nets of `ilsvrc-nets` (CVPR paper §3.1).

    python nets/convolutionize.py vgg16                  ilsvrc-nets/vgg16-fcn.caffemodel
    python nets/convolutionize.py caffenet --weights FILE --out FILE
    python nets/convolutionize.py vgg16 --random         only the check, on random weights

An inner product over a blob of C×H×W is a convolution with kernels of H×W, and one over C values a
convolution of 1×1: the same numbers in another shape. What results gives scores at every place of
an image of any size, each equal to what the classifier gives for the crop it belongs to, as far as
padding lets it (see papers/dense_grid.py). The classifier's last layer gets a name of its own
(fc8-conv), so that an FCN, whose score layer is score_fr, takes everything else and starts that one
from zero.

Before anything is written, both nets see the same images of the classifier's size, and must give
the same scores. Runs on BVLC Caffe too.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
os.environ.setdefault("GLOG_minloglevel", "2")
import numpy as np

import bootstrap
import caffe
import surgery
from fcn.atomic import replacing
from fcn.classifiers.catalog import classifier
from fcn.geometry import facts
from fcn.prototxt import write_prototxt
from fcn.random_weights import fill
from fcn.weights import find

__all__ = [
    "TOLERANCE",
    "ConvolutionizeError",
    "Pair",
    "built",
    "compare",
    "convolutional",
    "pair",
    "scores",
    "write",
]

#: The largest difference of scores that is rounding, as a share of the largest score.
TOLERANCE = 1e-4

#: classifier → what FCNs call it once it is convolutional. What the published voc-fcn-alexnet
#: starts from as alexnet-fcn is CaffeNet: its net pools before it normalises.
OUTPUTS = OrderedDict(
    (
        ("vgg16", "vgg16-fcn"),
        ("vgg19", "vgg19-fcn"),
        ("caffenet", "alexnet-fcn"),
        ("alexnet", "bvlc_alexnet-fcn"),
        ("googlenet", "googlenet-fcn"),
    )
)

#: A classifier and its convolutional form as nets: scores: the blobs of each that are compared.
Pair = namedtuple("Pair", "plain dense param scores")


class ConvolutionizeError(RuntimeError):
    """The net cannot be made convolutional, or what was made is not the same net."""


def convolutional(net, last="{}-conv"):
    """(NetParameter, {layer: new name}) of the fully convolutional form of a deploy NetParameter.

    Every InnerProduct becomes a Convolution; the last of them and its top are renamed by `last`.
    Raises ConvolutionizeError for what has no such form.
    """
    shapes = {row.tops[0]: row.blob.shape for row in facts.walk(net)}
    inner = [layer.name for layer in net.layer if layer.type == "InnerProduct"]
    if not inner:
        raise ConvolutionizeError(f"net '{net.name}' has no inner product: it is convolutional")
    made, names, tops = type(net)(name=net.name + "_fcn"), {}, {}
    for layer in net.layer:
        new = made.layer.add()
        new.CopyFrom(layer)
        new.bottom[:] = [tops.get(name, name) for name in layer.bottom]
        if layer.type == "Input":
            new.input_param.shape[0].dim[0] = 1
        if layer.type != "InnerProduct":
            continue
        _convert(layer, new, shapes[layer.bottom[0]])
        if layer.name == inner[-1]:
            new.name = names[layer.name] = last.format(layer.name)
            new.top[0] = tops[layer.top[0]] = last.format(layer.top[0])
    return made, names


def _convert(layer, new, shape):
    old = layer.inner_product_param
    if old.transpose or old.axis != 1:
        raise ConvolutionizeError(
            f"layer '{layer.name}': an inner product that is transposed or "
            f"of axis {old.axis} is no convolution"
        )
    sizes = shape[2:] or [1, 1]
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        raise ConvolutionizeError(
            f"layer '{layer.name}' reads a blob of shape {shape}; expected N×C or N×C×K×K"
        )
    new.type = "Convolution"
    new.ClearField("inner_product_param")
    p = new.convolution_param
    p.num_output = old.num_output
    p.kernel_size.append(sizes[0])
    if not old.bias_term:
        p.bias_term = False
    for filler in ("weight_filler", "bias_filler"):
        if old.HasField(filler):
            getattr(p, filler).CopyFrom(getattr(old, filler))


def pair(param, load):
    """The Pair of a classifier's deploy NetParameter; load(net) gives the classifier its weights.

    Both nets take one image.
    """
    one = type(param)()
    one.CopyFrom(param)
    one.layer[0].input_param.shape[0].dim[0] = 1
    dense_param, names = convolutional(one)
    plain = built(one)
    load(plain)
    dense = built(dense_param)
    renamed = OrderedDict((names.get(name, name), blobs) for name, blobs in plain.params.items())
    with contextlib.redirect_stdout(io.StringIO()):  # a line for each blob
        report = surgery.transplant(dense, SimpleNamespace(params=renamed))
    if report.left or report.dropped:
        raise ConvolutionizeError("the two nets differ in their layers:\n" + report.summary())
    ((old, new),) = names.items()
    return Pair(plain, dense, dense_param, (_top(one, old), _top(dense_param, new)))


def _top(param, name):
    return next(layer.top[0] for layer in param.layer if layer.name == name)


def built(param):
    """A Net of a NetParameter, in the test phase."""
    with tempfile.TemporaryDirectory() as folder:
        return caffe.Net(write_prototxt(os.path.join(folder, "net.prototxt"), param), caffe.TEST)


def compare(nets, images=2, seed=0):
    """(largest difference of scores, largest score) over random images of the classifier's size."""
    random, worst, largest = np.random.RandomState(seed), 0.0, 0.0
    shape = nets.plain.blobs["data"].data.shape
    for _ in range(images):
        image = random.uniform(-120, 135, shape).astype(np.float32)
        plain = scores(nets.plain, image, nets.scores[0])
        dense = scores(nets.dense, image, nets.scores[1])
        if dense.shape[2:] != (1, 1):
            raise ConvolutionizeError(f"one crop gives scores of {dense.shape}, not of 1×1")
        if not (np.isfinite(plain).all() and np.isfinite(dense).all()):
            raise ConvolutionizeError(
                "scores are not finite: the weights are damaged, nothing was written"
            )
        worst = max(worst, float(np.abs(plain.ravel() - dense.ravel()).max()))
        largest = max(largest, float(np.abs(plain).max()))
    return worst, largest


def scores(net, image, blob):
    """A copy of the blob that the net makes of an image 1×C×H×W, whatever H and W."""
    if net.blobs["data"].data.shape != image.shape:
        net.blobs["data"].reshape(*image.shape)
    net.blobs["data"].data[...] = image
    net.forward()
    return net.blobs[blob].data.copy()


def check(nets):
    """The line that says how far both nets agree; ConvolutionizeError if it is not to rounding."""
    worst, largest = compare(nets)
    share = worst / largest if largest else float("inf")
    size = nets.plain.blobs["data"].data.shape[2]
    line = (
        f"classifier and convolutional net, the same images of {size}×{size}: scores up to "
        f"{largest:.4g}, largest difference {worst:.3g}, which is {share:.2g} of that"
    )
    if not share <= TOLERANCE:
        raise ConvolutionizeError(f"{line}; expected at most {TOLERANCE:g}: nothing was written")
    return line


def larger(nets, more=96):
    """The line that tells of the scores at every place of a larger image."""
    shape = list(nets.plain.blobs["data"].data.shape)
    shape[2:] = [shape[2] + more] * 2
    image = np.random.RandomState(1).uniform(-120, 135, shape).astype(np.float32)
    found = scores(nets.dense, image, nets.scores[1])
    if not np.isfinite(found).all():
        raise ConvolutionizeError("the scores of a larger image are not finite")
    return "an image of {2}×{3} gives {4} scores at {5}×{6} places".format(*shape, *found.shape[1:])


def write(nets, out):
    """Write the caffemodel and, beside it, the prototxt; returns both paths."""
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    prototxt = os.path.splitext(out)[0] + ".prototxt"
    # Of the size of one crop again, as the prototxt says.
    nets.dense.blobs["data"].reshape(*nets.plain.blobs["data"].data.shape)
    with replacing(out) as temporary:
        nets.dense.save(temporary)
    return out, write_prototxt(prototxt, nets.param)


def _loader(name, path):
    def load(net):
        report = surgery.load(net, path)
        if report.left:
            raise ConvolutionizeError(
                f"{bootstrap.shown(path)} is not {name}: it does not have "
                + ", ".join(sorted({layer for layer, _ in report.left}))
            )

    return load


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", choices=list(OUTPUTS), help="the classifier: %(choices)s", metavar="NAME"
    )
    parser.add_argument(
        "--weights",
        type=bootstrap.user_path,
        metavar="FILE",
        help="its caffemodel (default: as published, in ilsvrc-nets)",
    )
    parser.add_argument(
        "--out",
        type=bootstrap.user_path,
        metavar="FILE",
        help="where to write (default: ilsvrc-nets/NAME-fcn.caffemodel)",
    )
    parser.add_argument(
        "--random",
        action="store_true",
        help="no file: only check both nets against each other on random weights",
    )
    args = parser.parse_args(argv)
    if args.random and (args.weights or args.out):
        parser.error("--random reads and writes nothing; leave out --weights and --out")
    bootstrap.enter()
    row = classifier(args.name)
    try:
        if args.random:
            load = fill
        else:
            place = f"ilsvrc-nets/{row.file}"
            load = _loader(
                args.name,
                find.find(
                    ((place, f"{args.name} as published"),),
                    args.weights,
                    f"no weights of {args.name}",
                ),
            )
        nets = pair(row.build("deploy"), load)
        print(check(nets))
        print(larger(nets))
        if not args.random:
            out = args.out or f"ilsvrc-nets/{OUTPUTS[args.name]}.caffemodel"
            print(
                "\n".join(
                    "wrote " + bootstrap.shown(os.path.abspath(path)) for path in write(nets, out)
                )
            )
    except (ConvolutionizeError, find.MissingWeights, surgery.SurgeryError, OSError) as error:
        print(f"convolutionize.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
