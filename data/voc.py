"""PASCAL VOC 2011 segmentation, with SBD's larger training set: names, colours, preparation.

    python data/voc.py [--voc DIR] [--sbd DIR] [--list FILE]

What is there is linked to data/pascal/VOC2011 and data/sbdd/dataset, where the prototxts look
for it, the evaluation list seg11valid.txt is made, and what is missing is said.  Nothing is
downloaded; running it again does no harm.
"""

import argparse
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.palette import voc_palette
from data.prepare import ROOT, Report, link, read_list, write_list

__all__ = ["CLASSES", "PALETTE", "prepare", "seg11valid"]

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)
PALETTE = voc_palette()

#: The number of images in the two lists that the published models were trained and scored on.
SBD_TRAIN, SEG11VALID = 8498, 736

VOC_HOME = "PASCAL VOC 2011 (VOCtrainval_25-May-2011.tar), from the PASCAL VOC website"
SBD_HOME = "the Semantic Boundaries Dataset (benchmark.tgz, Hariharan et al., ICCV 2011)"


def seg11valid(voc_val: list[str], sbd_train: list[str]) -> list[str]:
    """VOC 2011's validation images that are not in SBD's training set."""
    trained = set(sbd_train)
    return [name for name in voc_val if name not in trained]


def prepare(voc: str, sbd: str, chosen: str = "") -> Report:
    """Link the two datasets, make the evaluation list, and check that all listed files exist.

    ``voc`` has JPEGImages, ``sbd`` has img and cls; ``chosen`` is a list of ids to evaluate on
    instead of the one made here.
    """
    report = Report()
    voc_dir = link(voc, "data/pascal/VOC2011", ("JPEGImages", "SegmentationClass"), VOC_HOME,
                   "--voc", report)
    sbd_dir = link(sbd, "data/sbdd/dataset", ("img", "cls"), SBD_HOME, "--sbd", report)
    train = []
    if sbd_dir:
        train = read_list(os.path.join(sbd_dir, "train.txt"), report)
        report.files(sbd_dir, train, "img/{}.jpg", "cls/{}.mat")
        if train and len(train) != SBD_TRAIN:
            report.note(f"SBD's train.txt lists {len(train)} images; the published models were "
                        f"trained on {SBD_TRAIN}")
    if voc_dir:
        _evaluation_list(voc_dir, train, chosen, report)
    return report


def _evaluation_list(voc_dir: str, train: list[str], chosen: str, report: Report) -> None:
    lists = os.path.join(voc_dir, "ImageSets", "Segmentation")
    path = os.path.join(lists, "seg11valid.txt")
    if chosen:
        write_list(path, read_list(chosen, report), report)
    elif not os.path.exists(path):
        if not train:
            report.problem(f"'{path}' is not there; it is made from val.txt and SBD's train.txt, "
                           "or taken from --list FILE")
            return
        write_list(path, seg11valid(read_list(os.path.join(lists, "val.txt"), report), train),
                   report)
    ids = read_list(path, report)
    report.files(voc_dir, ids, "JPEGImages/{}.jpg", "SegmentationClass/{}.png")
    if ids and len(ids) != SEG11VALID:
        report.note(f"seg11valid.txt lists {len(ids)} images; the published scores are of "
                    f"{SEG11VALID}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Check PASCAL VOC and SBD, and put them where the nets look for them.")
    parser.add_argument("--voc", default="", metavar="DIR", help="VOC2011, with JPEGImages in it")
    parser.add_argument("--sbd", default="", metavar="DIR", help="SBD's dataset, with img and cls")
    parser.add_argument("--list", default="", metavar="FILE",
                        help="ids to evaluate on (default: VOC's val without SBD's train)")
    options = parser.parse_args()
    paths = [path and os.path.abspath(os.path.expanduser(path))
             for path in (options.voc, options.sbd, options.list)]
    os.chdir(ROOT)
    sys.exit(prepare(*paths).print())


if __name__ == "__main__":
    main()
