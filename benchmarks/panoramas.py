"""At which scale panoramas are labelled best: VOC's val pictures side by side, as one picture.

    python benchmarks/panoramas.py --data VOC                every third wide picture
    python benchmarks/panoramas.py --data VOC --every 1

Each picture is brought to a height of 375. The rows say which height the panorama has when it is
labelled; its labels have the panorama's size and are compared with the truth at that size.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import voc_val
from PIL import Image

import score
from fcn.console import exit_code

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
    photo, truth = voc_val.read(data, name)
    size = round(photo.width * HEIGHT / photo.height), HEIGHT
    truth = Image.fromarray(truth).resize(size, Image.NEAREST)
    return np.array(photo.resize(size, Image.BICUBIC)), np.array(truth)


def lying(data, names):
    """Those of the names whose pictures are wider than high."""
    for name in names:
        with Image.open(os.path.join(data, "JPEGImages", name + ".jpg")) as image:
            if image.width > image.height:
                yield name


def main(argv=None):
    args = voc_val.arguments(__doc__, 3, argv)
    experiment, model = voc_val.trained(args.net)
    side, classes = max(experiment.dataset.deploy_size), experiment.dataset.classes
    names = list(lying(args.data, voc_val.names(args.data)))[:: args.every]
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
                found = voc_val.labelled(model, pixels, size)
                count += score.fast_hist(truth, found, classes)
        for count, (what, _) in zip(counts, WAYS):
            print(f"| {number} | {what} | {voc_val.cells(count)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
