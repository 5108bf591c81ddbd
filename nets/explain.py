"""Show where every pixel of a net comes from: shapes, strides, offsets, receptive fields, crops.

python nets/explain.py voc-fcn8s --size 500x334     width × height of the image
python nets/explain.py --table                      the facts of all experiments
python nets/explain.py --table --write              the same, into docs/nets.md
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
os.environ.setdefault("GLOG_minloglevel", "2")
import bootstrap
from fcn import catalog
from fcn.atomic import write_text
from fcn.geometry import facts
from fcn.geometry.other_ports import VARIANTS
from fcn.markdown import wrap
from fcn.prototxt import read_net

PAGE = "docs/nets.md"

#: Height × width at which the table counts work and memory.
TABLE_SIZE = (500, 500)

#: Table 1 of the CVPR paper: parameters, receptive field. GoogLeNet's is that of the classifier.
PAPER = {
    "voc-fcn-alexnet": "57 M, 355",
    "voc-fcn32s": "134 M, 404",
    "voc-fcn-googlenet": "6 M, 907 (with the 7×7 average pooling that is removed here)",
}


def input_sizes(net, height, width):
    """{input blob: shape} of a deploy net for an image of height × width."""
    return {
        top: [1, list(shape.dim)[1], height, width]
        for layer in net.layer
        if layer.type == "Input"
        for top, shape in zip(layer.top, _for_each(layer))
    }


def _for_each(layer):
    shapes = list(layer.input_param.shape)
    return shapes * len(layer.top) if len(shapes) == 1 else shapes


def explain(name, height, width):
    """The lines that explain one experiment's deploy net at one image size."""
    net = read_net(catalog.net_path(name, "deploy"))
    rows = facts.walk(net, input_sizes(net, height, width))
    lines = [
        f"{name}, an image of {width}×{height} (width × height)",
        "",
        "stride: pixels of the image from one value to the next; offset: where in the image",
        "the first value is centred; field: how many pixels one value depends on",
        "",
        f"{'layer':<18} {'type':<14} {'shape':<18} {'stride':>6} {'offset':>9} {'field':>6}",
    ]
    for row in rows:
        if row.in_place:
            continue
        blob = row.blob
        first = float(-blob.shift / blob.scale)
        shape = "×".join(str(n) for n in blob.shape[1:])
        lines.append(
            f"{row.name:<18} {row.type:<14} {shape:<18} {float(1 / blob.scale):>6g} "
            f"{first:>9g} {float(blob.field):>6g}"
        )
    crops = [row for row in rows if row.type == "Crop"]
    if crops:
        lines += [
            "",
            "Why each Crop has its offset: both blobs are affine in the image's coordinate x;",
            "the difference of their shifts is what must go.",
        ]
        lines += [f"  {row.name}: {row.note}" for row in crops]
    # The ports are of the published nets; beside other backbones they would say nothing.
    if name in catalog.EXPERIMENTS and catalog.experiment(name).backbone == "vgg16":
        lines += ["", "Other programs' FCN, for the same image:"]
        lines += [f"  {variant.name}: {variant.describe(height, width)}" for variant in VARIANTS]
    return lines


def facts_of(name):
    net = read_net(catalog.net_path(name, "deploy"))
    return facts.facts(net, input_sizes(net, *TABLE_SIZE))


def table():
    """The text of docs/nets.md."""
    lines = [
        "# Facts of the nets",
        "",
        "Made by `python nets/explain.py --table --write` from the deploy prototxts: nothing here "
        "is measured. Parameters are without upsampling and BatchNorm's statistics, as the papers "
        "count them; receptive field and stride are those of the coarsest scores. "
        "Multiply-adds are of one forward pass of "
        f"{TABLE_SIZE[0]}×{TABLE_SIZE[1]}, upsampling as written included. Memory is that of "
        "weights and blobs at that size, inference once, training with gradients and momentum, "
        "without scratch memory.",
        "",
        "| experiment | parameters | receptive field | stride | multiply-adds | inference "
        "| training | the paper's table 1 |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name in catalog.EXPERIMENTS:
        f = facts_of(name)
        lines.append(
            f"| {name} | {f.parameters / 1e6:.2f} M | {f.field} | {f.stride} "
            f"| {f.macs / 1e9:.1f} G | {f.inference / 1e9:.2f} GB | {f.training / 1e9:.2f} GB "
            f"| {PAPER.get(name, '')} |"
        )
    return wrap("\n".join(lines) + "\n")


def _size(text):
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 500x334; received {text}")
    return int(found.group(2)), int(found.group(1))


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument(
        "experiment",
        nargs="?",
        metavar="NAME",
        help="a folder that nets/make.py wrote, or one of " + ", ".join(catalog.EXPERIMENTS),
    )
    parser.add_argument(
        "--size",
        type=_size,
        default=(500, 500),
        metavar="WxH",
        help="the image's size (default: 500x500)",
    )
    parser.add_argument("--table", action="store_true", help="the facts of all experiments")
    parser.add_argument("--write", action="store_true", help="with --table: write " + PAGE)
    args = parser.parse_args(argv)
    if args.table == bool(args.experiment):
        parser.error("give an experiment or --table")
    if args.write and not args.table:
        parser.error("--write goes with --table")
    bootstrap.enter()
    try:
        name = None if args.table else catalog.experiment(args.experiment).name
    except (LookupError, OSError, ValueError) as error:
        print(
            f"explain.py: {error.args[0] if isinstance(error, LookupError) else error}",
            file=sys.stderr,
        )
        return 1
    text = table() if args.table else "\n".join(explain(name, *args.size)) + "\n"
    if args.write:
        write_text(PAGE, text)
        print("wrote", PAGE)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
