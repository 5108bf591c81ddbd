"""Membranes of cells: 30 sections of a larva's nerve cord under an electron microscope, 512×512.

    python data/membrane.py [--source DIR] [--out DIR]

DIR has image/ and label/ with PNGs of the same names, grey images, labels 0 where a membrane is and
255 elsewhere: the training part of the ISBI 2012 challenge as U-Net's examples have it. Images are
copied, labels become class numbers, and every sixth image or so is for validation.
"""

import argparse
import os
import shutil
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.folder import Options
from data.folder import prepare as prepare_folder
from data.preparing.report import ROOT, Report, user_path
from fcn.atomic import replacing
from fcn.palette import with_colours

__all__ = ["CLASSES", "PALETTE", "prepare"]

CLASSES = ("membrane", "cell")
PALETTE = with_colours([(32, 32, 32), (240, 228, 180)])

#: What the labels hold, in the order of the classes.
VALUES = [0, 255]
VAL_SHARE = 1 / 6


def prepare(source: str, out: str) -> Report:
    """Copy the images to ``out``, convert the labels, write the lists; nothing is done twice."""
    report = Report()
    folders = [os.path.join(source, part) for part in ("image", "label")]
    missing = [folder for folder in folders if not os.path.isdir(folder)]
    if missing:
        report.problem(
            f"no '{missing[0]}': --source names a folder with image/ and label/, PNGs "
            "of the same names"
        )
        return report
    images = os.path.join(out, "images")
    os.makedirs(images, exist_ok=True)
    for name in sorted(os.listdir(folders[0])):
        target = os.path.join(images, name)
        if not os.path.exists(target):
            with replacing(target, durable=False) as temporary:
                shutil.copyfile(os.path.join(folders[0], name), temporary)
    return prepare_folder(
        Options(images, folders[1], out, "membrane", list(CLASSES), VAL_SHARE, values=VALUES)
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Prepare the membrane images for the nets."
    )
    parser.add_argument(
        "--source",
        type=user_path,
        metavar="DIR",
        default=os.path.join(ROOT, "data", "membrane-source"),
        help="with image/ and label/ (default: data/membrane-source)",
    )
    parser.add_argument(
        "--out",
        type=user_path,
        metavar="DIR",
        default=os.path.join(ROOT, "data", "membrane"),
        help="(default: data/membrane, where the nets look)",
    )
    options = parser.parse_args()
    sys.exit(prepare(options.source, options.out).print())


if __name__ == "__main__":
    main()
