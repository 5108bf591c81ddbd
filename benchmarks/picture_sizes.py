"""What the size of a picture does to a net's labels: VOC's val pictures made larger and smaller,
grey, and labelled as infer.py does by default, as they are, and enlarged.

    python benchmarks/picture_sizes.py --data VOC            every fourth picture of val
    python benchmarks/picture_sizes.py --data VOC --every 1

The labels have the picture's size and are compared with the truth at that size.
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
from fcn.inference.scaling import NATIVE, size_for

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


def resized(image, factor, way):
    size = [max(1, round(length * factor)) for length in image.size]
    return image if factor == 1 else image.resize(size, way)


def main(argv=None):
    args = voc_val.arguments(__doc__, 4, argv)
    experiment, model = voc_val.trained(args.net)
    training = experiment.dataset.deploy_size
    names = voc_val.names(args.data)[:: args.every]
    classes = experiment.dataset.classes
    counts = [np.zeros((classes, classes), np.int64) for _ in WAYS]
    for name in names:
        photo, truth = voc_val.read(args.data, name)
        truth = Image.fromarray(truth)
        for count, (_, factor, grey, choice) in zip(counts, WAYS):
            picture = photo.convert("L").convert("RGB") if grey else photo
            pixels = np.array(resized(picture, factor, Image.BICUBIC))
            expected = np.array(resized(truth, factor, Image.NEAREST))
            size = size_for(pixels.shape[:2], training, choice)
            found = voc_val.labelled(model, pixels, size)
            count += score.fast_hist(expected, found, classes)
    print(f"{args.net}, {len(names)} pictures of val\n")
    print("| picture | labelled | mean IU, % | pixel accuracy, % |\n|---|---|---:|---:|")
    for count, (what, _, _, choice) in zip(counts, WAYS):
        how = HOW.get(choice, f"--size {choice}")
        print(f"| {what} | {how} | {voc_val.cells(count)} |")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
