"""What the size of a picture does to a net's labels: VOC's val pictures made larger and smaller,
grey, and labelled as infer.py does by default, as they are, and enlarged.

    python benchmarks/picture_sizes.py --data VOC            every fourth picture of val
    python benchmarks/picture_sizes.py --data VOC --every 1

The labels have the picture's size and are compared with the truth at that size.
"""

import argparse
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
from PIL import Image

import bootstrap
import score
from fcn import catalog
from fcn.console import exit_code
from fcn.inference.model import Model
from fcn.inference.scaling import NATIVE, enlarge_label, scale_to, size_for
from segdata.images import read_label, read_rgb

#: (what a picture becomes, factor of its size, whether it is grey, how it is labelled).
WAYS = (
    ("as it is", 1, False, None),
    ("grey", 1, True, None),
    ("twice as large", 2, False, None),
    ("twice as large", 2, False, NATIVE),
    ("half as large", 0.5, False, None),
    ("half as large", 0.5, False, 500),
    ("a quarter as large", 0.25, False, None),
    ("a quarter as large", 0.25, False, 500),
    ("an eighth as large", 0.125, False, None),
    ("an eighth as large", 0.125, False, 500),
)
HOW = {None: "default", NATIVE: "--size native"}


def labelled(model, pixels, training, choice):
    """The label map of a picture, uint8 (H, W), as infer.py makes it."""
    size = size_for(pixels.shape[:2], training, choice)
    labels = model.labels(scale_to(pixels, size), model.plan(*size))
    return enlarge_label(labels[0], pixels.shape[:2])


def resized(image, factor, way):
    size = [max(1, round(length * factor)) for length in image.size]
    return image if factor == 1 else image.resize(size, way)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, metavar="VOC", type=bootstrap.user_path)
    parser.add_argument("--net", default="voc-fcn4s-lite0", metavar="NAME")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="(default: 4)")
    args = parser.parse_args(argv)
    bootstrap.enter()
    experiment = catalog.experiment(args.net)
    weights = f"nets/{args.net}/{args.net}.caffemodel"
    model = Model.from_catalog(args.net, weights)
    training = experiment.dataset.deploy_size
    lists = os.path.join(args.data, "ImageSets", "Segmentation", "val.txt")
    with open(lists, encoding="utf-8") as f:
        names = f.read().split()[:: args.every]
    classes = experiment.dataset.classes
    counts = [np.zeros((classes, classes), np.int64) for _ in WAYS]
    for name in names:
        photo = read_rgb(os.path.join(args.data, "JPEGImages", name + ".jpg"))
        truth = read_label(os.path.join(args.data, "SegmentationClass", name + ".png"))
        truth = Image.fromarray(np.asarray(truth, np.uint8))
        for count, (_, factor, grey, choice) in zip(counts, WAYS):
            picture = photo.convert("L").convert("RGB") if grey else photo
            pixels = np.array(resized(picture, factor, Image.BICUBIC))
            expected = np.array(resized(truth, factor, Image.NEAREST))
            count += score.fast_hist(expected, labelled(model, pixels, training, choice), classes)
    print(f"{args.net}, {len(names)} pictures of val\n")
    print("| picture | labelled | mean IU, % | pixel accuracy, % |\n|---|---|---:|---:|")
    for count, (what, _, _, choice) in zip(counts, WAYS):
        found = score.metrics(count)
        how = HOW.get(choice, f"--size {choice}")
        cells = f"{100 * found.mean_iu:.1f} | {100 * found.overall_accuracy:.1f}"
        print(f"| {what} | {how} | {cells} |")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
