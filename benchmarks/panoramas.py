"""At which scale panoramas are labelled best: VOC's val pictures side by side, as one picture.

    python benchmarks/panoramas.py --data VOC                every third wide picture
    python benchmarks/panoramas.py --data VOC --every 1

Each picture is brought to a height of 375. The rows say which height the panorama has when it is
labelled; its labels have the panorama's size and are compared with the truth at that size.
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
from fcn.inference.scaling import enlarge_label, scale_to
from segdata.images import read_label, read_rgb

HEIGHT = 375
#: How many pictures stand side by side.
NUMBERS = (2, 3, 4, 6)
#: (what the panorama's scale follows from, its height given its size and the training side).
WAYS = (
    ("its length", lambda height, width, side: height * side / width),
    ("its height, as if 4:1", lambda height, width, side: side / 4),
    ("its height, as if 3:1", lambda height, width, side: side / 3),
    ("its height, as if 2:1", lambda height, width, side: side / 2),
    ("its height, as if 3:2", lambda height, width, side: side / 1.5),
    ("--size native", lambda height, width, side: height),
)


def picture(data, name):
    """(RGB, label map) of a picture of VOC's, brought to HEIGHT."""
    photo = read_rgb(os.path.join(data, "JPEGImages", name + ".jpg"))
    truth = read_label(os.path.join(data, "SegmentationClass", name + ".png"))
    size = round(photo.width * HEIGHT / photo.height), HEIGHT
    truth = Image.fromarray(np.asarray(truth, np.uint8)).resize(size, Image.NEAREST)
    return np.array(photo.resize(size, Image.BICUBIC)), np.array(truth)


def lying(data, names):
    """Those of the names whose pictures are wider than high."""
    for name in names:
        with Image.open(os.path.join(data, "JPEGImages", name + ".jpg")) as image:
            if image.width > image.height:
                yield name


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, metavar="VOC", type=bootstrap.user_path)
    parser.add_argument("--net", default="voc-fcn4s-lite0", metavar="NAME")
    parser.add_argument("--every", type=int, default=3, metavar="N", help="(default: 3)")
    args = parser.parse_args(argv)
    bootstrap.enter()
    experiment = catalog.experiment(args.net)
    model = Model.from_catalog(args.net, f"nets/{args.net}/{args.net}.caffemodel")
    side, classes = max(experiment.dataset.deploy_size), experiment.dataset.classes
    lists = os.path.join(args.data, "ImageSets", "Segmentation", "val.txt")
    with open(lists, encoding="utf-8") as f:
        names = list(lying(args.data, f.read().split()))[:: args.every]
    print(f"{args.net}, {len(names)} pictures of val\n")
    print("| side by side | scale follows from | mean IU, % | pixel accuracy, % |")
    print("|---:|---|---:|---:|")
    for number in NUMBERS:
        counts = [np.zeros((classes, classes), np.int64) for _ in WAYS]
        for first in range(0, len(names) - number + 1, number):
            parts = [picture(args.data, name) for name in names[first : first + number]]
            pixels, truth = (np.concatenate(kind, axis=1) for kind in zip(*parts))
            height, width = truth.shape
            for count, (_, way) in zip(counts, WAYS):
                low = way(height, width, side)
                size = int(low + 0.5), int(width * low / height + 0.5)
                labels = model.labels(scale_to(pixels, size), model.plan(*size))
                found = enlarge_label(labels[0], (height, width))
                count += score.fast_hist(truth, found, classes)
        for count, (what, _) in zip(counts, WAYS):
            found = score.metrics(count)
            cells = f"{100 * found.mean_iu:.1f} | {100 * found.overall_accuracy:.1f}"
            print(f"| {number} | {what} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
