"""What benchmarks on VOC's val pictures share: arguments, the net, its labels, a row's figures."""

import argparse
import os

import numpy as np

import bootstrap
import score
from fcn import catalog
from fcn.inference.model import Model
from fcn.inference.scaling import enlarge_label, scale_to
from segdata.images import read_label, read_rgb


def arguments(text, every, argv):
    """--data, --net and --every (``every`` unless told), from the repository's root on."""
    parser = argparse.ArgumentParser(description=text.split("\n\n")[0])
    parser.add_argument("--data", required=True, metavar="VOC", type=bootstrap.user_path)
    parser.add_argument("--net", default="voc-fcn4s-lite0", metavar="NAME")
    parser.add_argument(
        "--every", type=int, default=every, metavar="N", help="(default: %(default)s)"
    )
    args = parser.parse_args(argv)
    bootstrap.enter()
    return args


def trained(name):
    """(the Experiment, its Model with the weights beside it)."""
    model = Model.from_catalog(name, f"nets/{name}/{name}.caffemodel")
    return catalog.experiment(name), model


def names(data):
    """Of val's pictures."""
    with open(os.path.join(data, "ImageSets", "Segmentation", "val.txt"), encoding="utf-8") as f:
        return f.read().split()


def read(data, name):
    """(the photo, its label map), a PIL image and an array."""
    photo = read_rgb(os.path.join(data, "JPEGImages", name + ".jpg"))
    truth = read_label(os.path.join(data, "SegmentationClass", name + ".png"))
    return photo, np.asarray(truth, np.uint8)


def labelled(model, pixels, size):
    """The label map of a picture, uint8 (H, W), by a pass at another (height, width)."""
    labels = model.labels(scale_to(pixels, size), model.plan(*size))
    return enlarge_label(labels[0], pixels.shape[:2])


def cells(count):
    """Mean IU and pixel accuracy of a histogram, as two cells of a table."""
    found = score.metrics(count)
    return f"{100 * found.mean_iu:.1f} | {100 * found.overall_accuracy:.1f}"
