"""SIFT Flow (LMO), outdoor scenes with two labels for each pixel: names, colours, preparation.

    python data/siftflow.py [--archives DIR | --source DIR] [--lists DIR]

DIR holds SiftFlowDataset.zip.  The data goes to data/sift-flow, where the prototxts look for it:
2688 images, a class (33) and a geometric class (3) of every pixel.  The lists trainval.txt and
test.txt are made from the archive's TestSet1.txt, or copied from --lists.  Files, sizes and label
values are checked.  Nothing is downloaded; running it again does no harm.
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

__all__ = ["ARCHIVE", "CLASSES", "GEOMETRIC_CLASSES", "PALETTE", "prepare"]

CLASSES = (
    "awning",
    "balcony",
    "bird",
    "boat",
    "bridge",
    "building",
    "bus",
    "car",
    "cow",
    "crosswalk",
    "desert",
    "door",
    "fence",
    "field",
    "grass",
    "moon",
    "mountain",
    "person",
    "plant",
    "pole",
    "river",
    "road",
    "rock",
    "sand",
    "sea",
    "sidewalk",
    "sign",
    "sky",
    "staircase",
    "streetlight",
    "sun",
    "tree",
    "window",
)
GEOMETRIC_CLASSES = ("sky", "horizontal", "vertical")
PALETTE = voc_palette()

#: Images without labels, which the published lists leave out.
UNLABELLED = ("highway_bost181", "street_urb506")

#: Images in each of the published lists.
SPLITS = {"trainval": 2486, "test": 200}

ARCHIVE = Archive(
    "SiftFlowDataset.zip",
    "SIFT Flow",
    "the Superparsing project (cs.unc.edu/~jtighe/Papers/ECCV10)",
)
TARGET, TEST_SET = "data/sift-flow", "TestSet1.txt"
PARTS = ("Images", "SemanticLabels", "GeoLabels")

_WANTED = re.compile(
    r"(?:^|/)((?:Images|SemanticLabels|GeoLabels)/[^/]+/[^/]+\.(?:jpg|mat)|"
    r"TestSet1\.txt)$"
)


def prepare(source: str = "", archives: str = "", lists: str = "") -> Report:
    """Have SIFT Flow at data/sift-flow, with its lists, and check everything they name."""
    find_layers()
    from segdata.siftflow import FILES

    report = Report()
    root = obtain(ARCHIVE, archives, source, TARGET, _place, PARTS, "--source", report)
    if not root:
        return report
    for split, expected in SPLITS.items():
        path = os.path.join(root, split + ".txt")
        if lists:
            write_list(path, read_list(os.path.join(lists, split + ".txt"), report), report)
        elif not os.path.exists(path):
            write_list(path, _make_list(root, split, report), report)
        ids = read_list(path, report)
        report.files(root, ids, *FILES)
        if ids and len(ids) != expected:
            report.note(f"{split}.txt lists {len(ids)} images; the published list has {expected}")
        _check(root, ids, report)
    return report


def _place(name: str) -> Optional[str]:
    """Images, the two kinds of labels and the list of the test set, whatever is above them."""
    found = _WANTED.search(name)
    if not found or found.group(1).rsplit("/", 1)[-1].startswith("._"):
        return None
    return found.group(1)


def _make_list(root: str, split: str, report: Report) -> list[str]:
    """The test set as the archive lists it, or all other images that have labels, by name."""
    lines = read_list(os.path.join(root, TEST_SET), report)
    test = [os.path.splitext(line.replace("\\", "/").rsplit("/", 1)[-1])[0] for line in lines]
    if split == "test" or not test:
        return test
    from segdata.siftflow import SUBFOLDER

    left_out = set(test).union(UNLABELLED)
    names = sorted(
        name[:-4]
        for name in os.listdir(os.path.join(root, "Images", SUBFOLDER))
        if name.endswith(".jpg")
    )
    report.note(
        "trainval.txt is in the order of names; with the published list (--lists) a seed "
        "draws the images that it drew for the published models"
    )
    return [name for name in names if name not in left_out]


def _check(root: str, ids: list[str], report: Report) -> None:
    """Sizes and label values of what exists, ten problems at most."""
    from segdata.errors import DataError
    from segdata.images import open_image
    from segdata.siftflow import FILES, read_geometric_label, read_semantic_label

    bad = 0
    for name in ids:
        paths = [os.path.join(root, pattern.format(name)) for pattern in FILES]
        if not all(os.path.isfile(path) for path in paths):
            continue
        try:
            with open_image(paths[0], decode=False) as image:
                size = image.size
            labels = read_semantic_label(paths[1]), read_geometric_label(paths[2])
        except DataError as error:
            problem = f"cannot use '{name}': {error}"
        else:
            shapes = [label.shape[::-1] for label in labels]
            if shapes == [size, size]:
                continue
            problem = "'{}' is {}x{}, its labels are {}".format(
                paths[0], size[0], size[1], " and ".join("{}x{}".format(*s) for s in shapes)
            )
        bad += 1
        if bad <= 10:
            report.problem(problem)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Check SIFT Flow and put it where the nets look for it."
    )
    parser.add_argument("--archives", default="", metavar="DIR", help=f"where {ARCHIVE.file} is")
    parser.add_argument(
        "--source",
        default="",
        metavar="DIR",
        help="the unpacked archive, with {} in it".format(", ".join(PARTS)),
    )
    parser.add_argument(
        "--lists",
        default="",
        metavar="DIR",
        help="where trainval.txt and test.txt are, if they are not to be made",
    )
    options = parser.parse_args()
    paths = [user_path(path) for path in (options.source, options.archives, options.lists)]
    os.chdir(ROOT)
    sys.exit(prepare(*paths).print())


if __name__ == "__main__":
    main()
