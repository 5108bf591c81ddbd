"""NYUDv2, indoor scenes in colour and depth, 40 classes: names, colours, preparation.

    python data/nyud.py --labeled nyu_depth_v2_labeled.mat --splits splits.mat \
        --mapping classMapping40.mat [--lists DIR]
    python data/nyud.py --archives DIR | --source DIR

The first form makes data/nyud, where the prototxts look for it, from the official files: colour,
depth in millimetres, HHA computed from it, labels, and lists.  An interrupted run goes on where it
was.  The second takes the data as it was prepared for the published models: nyud.tar.gz in DIR, or
a folder with data/, segmentation/ and lists.  Either way every file is checked.  Nothing is
downloaded; running it again does no harm.
"""

import argparse
import os
import re
import sys
from typing import Optional

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.preparing.archives import Archive, obtain
from data.preparing.report import ROOT, Report, find_layers, read_list, user_path, write_list
from fcn.palette import voc_palette

__all__ = ["ARCHIVE", "CLASSES", "PALETTE", "SPLITS", "TARGET", "prepare"]

#: In the order of the labels 1 to 40, spelt as in the published list.
CLASSES = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor mat",
    "clothes",
    "ceiling",
    "books",
    "refridgerator",
    "television",
    "paper",
    "towel",
    "shower curtain",
    "box",
    "whiteboard",
    "person",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
    "otherstructure",
    "otherfurniture",
    "otherprop",
)
PALETTE = voc_palette()

#: Images in each of the published lists; the nets need the first two.
SPLITS = {"trainval": 795, "test": 654, "train": 381, "val": 414}

ARCHIVE = Archive(
    "nyud.tar.gz", "NYUDv2 as prepared for the published models", "dl.caffe.berkeleyvision.org"
)
TARGET, PARTS = "data/nyud", ("data", "segmentation")

_WANTED = re.compile(
    r"(?:^|/)(data/(?:images|depth|hha)/img_\d+\.png|segmentation/img_\d+\.mat|"
    r"(?:trainval|train|val|test)\.txt)$"
)


def prepare(
    labeled: str = "",
    splits: str = "",
    mapping: str = "",
    source: str = "",
    archives: str = "",
    lists: str = "",
) -> Report:
    """Have NYUDv2 at data/nyud, made from the official files or as prepared, and check it."""
    from data.preparing import nyud_official

    report = Report()
    if labeled or splits or mapping:
        if not nyud_official.convert(labeled, splits, mapping, TARGET, CLASSES, report):
            return report
        root = TARGET
    else:
        root = obtain(ARCHIVE, archives, source, TARGET, _place, PARTS, "--source", report)
        if not root:
            report.note(
                "or make it from the official files: --labeled nyu_depth_v2_labeled.mat "
                "--splits splits.mat --mapping classMapping40.mat"
            )
            return report
    _check_lists(root, lists, report)
    return report


def _place(name: str) -> Optional[str]:
    """Images, labels and lists, whatever folder they are in."""
    found = _WANTED.search(name)
    return found.group(1) if found else None


def _check_lists(root: str, lists: str, report: Report) -> None:
    """Have the lists in place, taken from ``lists`` if given, and check all that they name."""
    known: dict[str, list[str]] = {}
    for split, expected in SPLITS.items():
        path = os.path.join(root, split + ".txt")
        if lists and os.path.isfile(os.path.join(lists, split + ".txt")):
            write_list(path, read_list(os.path.join(lists, split + ".txt"), report), report)
        if not os.path.isfile(path) and split == "trainval":
            parts = [os.path.join(root, part + ".txt") for part in ("train", "val")]
            if all(os.path.isfile(part) for part in parts):
                write_list(
                    path, [name for part in parts for name in read_list(part, report)], report
                )
        if not os.path.isfile(path) and split in ("train", "val"):
            report.note(
                f"no '{path}': the official split has no such part; with --lists DIR it is "
                "copied from the published lists. The nets need trainval and test"
            )
            continue
        known[split] = read_list(path, report)
        if known[split] and len(known[split]) != expected:
            report.note(
                f"{split}.txt lists {len(known[split])} images; the published list has {expected}"
            )
    both = set(known["trainval"]) & set(known["test"])
    if both:
        report.problem(
            f"{len(both)} images are in trainval.txt and in test.txt, such as '{min(both)}'"
        )
    _check_files(root, sorted({name for names in known.values() for name in names}), report)


def _check_files(root: str, ids: list[str], report: Report) -> None:
    """Existence, sizes, modes and values of the four files of every image, ten problems at most."""
    find_layers()
    from segdata.errors import DataError
    from segdata.nyud import FOLDERS, file_of

    report.files(root, ids, *FOLDERS.values())
    bad = 0
    for name in ids:
        paths = {kind: file_of(root, kind, name) for kind in FOLDERS}
        if not all(os.path.isfile(path) for path in paths.values()):
            continue
        try:
            _check_image(paths)
        except (DataError, OSError, SyntaxError, ValueError) as error:
            bad += 1
            if bad <= 10:
                report.problem(str(error))


def _check_image(paths: dict) -> None:
    """Raise for files of one image that do not fit together or that the data layer refuses."""
    from segdata.errors import DataError
    from segdata.images import open_image
    from segdata.nyud import read_nyud_label
    from segdata.streams import read_depth, read_hha

    with open_image(paths["color"], decode=False) as image:
        size, mode = image.size, image.mode
    if mode != "RGB":
        raise DataError(f"'{paths['color']}' is a {mode} image; expected RGB")
    others = {
        "depth": read_depth(paths["depth"]).size,
        "hha": read_hha(paths["hha"]).size,
        "label": read_nyud_label(paths["label"]).shape[::-1],
    }
    for kind, other in others.items():
        if other != size:
            raise DataError(
                "'{}' is {}x{}, '{}' is {}x{}".format(
                    paths["color"], size[0], size[1], paths[kind], other[0], other[1]
                )
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Make NYUDv2 from its official files, or check it, where the nets look for it.",
    )
    for name, what in (
        ("labeled", "nyu_depth_v2_labeled.mat"),
        ("splits", "splits.mat"),
        ("mapping", "classMapping40.mat"),
    ):
        parser.add_argument("--" + name, default="", metavar="FILE", help=what)
    parser.add_argument("--archives", default="", metavar="DIR", help=f"where {ARCHIVE.file} is")
    parser.add_argument(
        "--source",
        default="",
        metavar="DIR",
        help="the prepared data, with data/ and segmentation/ in it",
    )
    parser.add_argument(
        "--lists",
        default="",
        metavar="DIR",
        help="where the published train.txt, val.txt and test.txt are",
    )
    given = parser.parse_args()
    paths = [
        user_path(path)
        for path in (
            given.labeled,
            given.splits,
            given.mapping,
            given.source,
            given.archives,
            given.lists,
        )
    ]
    if any(paths[:3]) and any(paths[3:5]):
        parser.error("the official files, or --source or --archives, not both")
    os.chdir(ROOT)
    sys.exit(prepare(*paths).print())


if __name__ == "__main__":
    main()
