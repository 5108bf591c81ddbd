"""PASCAL-Context, whole scenes of VOC 2010 in 59 classes and background: names, colours, files.

    python data/pascalcontext.py --archives DIR
    python data/pascalcontext.py [--voc DIR] [--context DIR]

DIR holds VOCtrainval_03-May-2010.tar, trainval.tar.gz, labels.txt and 59_labels.txt.  The data goes
to data/pascal/VOC2010 and data/pascal-context, where the prototxts look for it; lists, files and
names are checked, and what is missing is said.  Nothing is downloaded; running it again does no
harm.
"""

import argparse
import os
import sys
from typing import Optional

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.preparing.archives import Archive, obtain
from data.preparing.report import ROOT, Report, find_layers, read_list, user_path
from data.voc import CLASSES as VOC_CLASSES
from data.voc import obtain_voc
from fcn.atomic import replacing, write_text
from fcn.palette import voc_palette

__all__ = ["ARCHIVE", "CLASSES", "PALETTE", "prepare"]

#: VOC's, then 39 more. Background is all that is none of the 59; it is trained and scored.
CLASSES = VOC_CLASSES + (
    "bag",
    "bed",
    "bench",
    "book",
    "building",
    "cabinet",
    "ceiling",
    "clothes",
    "computer",
    "cup",
    "door",
    "fence",
    "floor",
    "flower",
    "food",
    "grass",
    "ground",
    "keyboard",
    "light",
    "mountain",
    "mouse",
    "curtain",
    "platform",
    "sign",
    "plate",
    "road",
    "rock",
    "shelves",
    "sidewalk",
    "sky",
    "snow",
    "bedcloth",
    "track",
    "tree",
    "truck",
    "wall",
    "water",
    "window",
    "wood",
)
PALETTE = voc_palette()

HOME = "the dataset's website (cs.stanford.edu/~roozbeh/pascal-context)"
ARCHIVE = Archive("trainval.tar.gz", "PASCAL-Context's labels", HOME)

#: Images in the two lists of VOC 2010, and raw classes; background included where there is one.
SPLITS, RAW_CLASSES = {"train": 4998, "val": 5105}, 459

CONTEXT_DIR, VOC_PARTS = "data/pascal-context", ("JPEGImages", "ImageSets/Main")


def prepare(voc: str = "", context: str = "", archives: str = "") -> Report:
    """Put VOC 2010 and the labels in place, and check lists, files and names."""
    find_layers()
    from segdata.pascalcontext import ALL_NAMES, TASK_NAMES

    report = Report()
    voc_dir = obtain_voc("2010", archives, voc, "--voc", report, VOC_PARTS)
    context_dir = obtain(
        ARCHIVE, archives, context, CONTEXT_DIR, _place, ("trainval",), "--context", report
    )
    if context_dir:
        _copy_list(context_dir, ALL_NAMES, archives, report)
        _copy_list(context_dir, TASK_NAMES, archives, report)
        _check_names(context_dir, report)
    listed = []
    for split, expected in SPLITS.items() if voc_dir else ():
        ids = read_list(os.path.join(voc_dir, "ImageSets", "Main", split + ".txt"), report)
        if ids and len(ids) != expected:
            report.note(f"{split}.txt lists {len(ids)} images; VOC 2010 has {expected}")
        listed += ids
    report.files(voc_dir, listed, "JPEGImages/{}.jpg")
    if context_dir:
        report.files(context_dir, listed, "trainval/{}.mat")
    return report


def _place(name: str) -> Optional[str]:
    """Label files go to trainval/, lists of names beside it, whatever folders they are in."""
    base = name.rsplit("/", 1)[-1]
    if base.startswith("._"):
        return None
    if base.endswith(".mat"):
        return "trainval/" + base
    return base if base.endswith("labels.txt") else None


def _copy_list(context_dir: str, name: str, archives: str, report: Report) -> None:
    """Have a list of names in place: there already, beside the archives, or (59) from CLASSES."""
    path, source = os.path.join(context_dir, name), os.path.join(archives, name)
    if os.path.isfile(path):
        return
    if archives and os.path.isfile(source):
        with open(source, "rb") as file, replacing(path) as temporary:
            with open(temporary, "wb") as copy:
                copy.write(file.read())
        report.did(f"{path}: copied from {archives}")
    elif name.startswith("59"):
        write_text(path, "".join(f"{i}: {name}\n" for i, name in enumerate(CLASSES) if i))
        report.did(f"{path}: written, with the published 59 names")
    else:
        report.problem(
            f"no '{path}': get {name} from {HOME} and put it "
            + (f"in '{archives}'" if archives else "there")
        )


def _check_names(context_dir: str, report: Report) -> None:
    """The 59 classes in their published order, and each of them among the raw ones."""
    from segdata.errors import DataError
    from segdata.pascalcontext import ALL_NAMES, TASK_NAMES, class_map, read_names

    if not os.path.isfile(os.path.join(context_dir, ALL_NAMES)):
        return  # said already
    try:
        raw = len(class_map(context_dir)) - 1
        names = read_names(os.path.join(context_dir, TASK_NAMES))
    except DataError as error:
        report.problem(str(error))
        return
    wrong = [i for i, name in enumerate(CLASSES[1:], 1) if names[i - 1 : i] != [name]]
    if wrong or len(names) != len(CLASSES) - 1:
        first = wrong[0] if wrong else len(CLASSES)
        report.problem(
            f"'{os.path.join(context_dir, TASK_NAMES)}' differs from the published "
            f"order of classes from number {first} on: expected "
            f"{(CLASSES + ('no more',))[first]}"
        )
        return
    report.did(f"{len(names)} of {raw} raw classes are told apart, the others are background")
    if raw != RAW_CLASSES:
        report.note(f"{ALL_NAMES} lists {raw} names; the published list has {RAW_CLASSES}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Check PASCAL-Context and put it where the nets look for it.",
    )
    parser.add_argument(
        "--archives",
        default="",
        metavar="DIR",
        help="where VOCtrainval_03-May-2010.tar, trainval.tar.gz, labels.txt and 59_labels.txt are",
    )
    parser.add_argument("--voc", default="", metavar="DIR", help="VOC2010, with JPEGImages in it")
    parser.add_argument(
        "--context",
        default="",
        metavar="DIR",
        help="the labels: trainval/ with .mat files, labels.txt, 59_labels.txt",
    )
    options = parser.parse_args()
    paths = [user_path(path) for path in (options.voc, options.context, options.archives)]
    os.chdir(ROOT)
    sys.exit(prepare(*paths).print())


if __name__ == "__main__":
    main()
