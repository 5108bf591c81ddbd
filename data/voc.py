"""PASCAL VOC 2011 and 2012 segmentation, with SBD's larger training set: names, colours, files.

    python data/voc.py --archives DIR
    python data/voc.py [--voc DIR] [--voc2012 DIR] [--sbd DIR] [--list FILE] [--png]

The archives are unpacked, or what is there is linked, to data/pascal/VOC2011, data/pascal/VOC2012
and data/sbdd/dataset, where the prototxts look for it; the evaluation list seg11valid.txt is made,
and what is missing is said.  Nothing is downloaded; running it again does no harm.
"""

import argparse
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.preparing.archives import Archive, below, obtain
from data.preparing.report import ROOT, Report, read_list, user_path, write_list
from data.preparing.sbd import to_png
from fcn.palette import voc_palette

__all__ = ["ARCHIVES", "CLASSES", "PALETTE", "SBD", "prepare", "seg11valid"]

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
PALETTE = voc_palette()

#: The number of images in the two lists that the published models were trained and scored on.
SBD_TRAIN, SEG11VALID = 8498, 736


def _voc(year: str, date: str, md5: str) -> Archive:
    return Archive(
        f"VOCtrainval_{date}.tar",
        f"PASCAL VOC {year}, training and validation",
        f"the PASCAL VOC website (host.robots.ox.ac.uk/pascal/VOC/voc{year})",
        md5,
    )


ARCHIVES = {
    "2010": _voc("2010", "03-May-2010", "da459979d0c395079b5c75ee67908abb"),
    "2011": _voc("2011", "25-May-2011", "6c3384ef61512963050cb5d687e5bf1e"),
    "2012": _voc("2012", "11-May-2012", "6cd6e144f989b92b3379bac3b3de84fd"),
}
SBD = Archive(
    "benchmark.tgz",
    "the Semantic Boundaries Dataset",
    "its authors (Hariharan et al., ICCV 2011; Berkeley's semantic_contours)",
    "82b4d87ceb2ed10f6038a1cba92111cb",
)


def seg11valid(voc_val: list[str], sbd_train: list[str]) -> list[str]:
    """VOC 2011's validation images that are not in SBD's training set."""
    trained = set(sbd_train)
    return [name for name in voc_val if name not in trained]


def prepare(
    voc: str, sbd: str, chosen: str = "", archives: str = "", voc2012: str = "", png: bool = False
) -> Report:
    """Put the datasets in place, make the evaluation lists, and check that all listed files exist.

    ``voc`` and ``voc2012`` have JPEGImages, ``sbd`` has img and cls; ``archives`` is where the
    archives of those not given are.  ``chosen`` is a list of ids to evaluate on instead of the one
    made here.  ``png`` also writes SBD's labels as PNG.
    """
    report = Report()
    voc_dir = obtain_voc("2011", archives, voc, "--voc", report)
    sbd_dir = obtain(
        SBD,
        archives,
        sbd,
        "data/sbdd/dataset",
        below("benchmark_RELEASE/dataset"),
        ("img", "cls"),
        "--sbd",
        report,
    )
    train = []
    if sbd_dir:
        train = read_list(os.path.join(sbd_dir, "train.txt"), report)
        report.files(sbd_dir, train, "img/{}.jpg", "cls/{}.mat")
        if train and len(train) != SBD_TRAIN:
            report.note(
                f"SBD's train.txt lists {len(train)} images; the published models were "
                f"trained on {SBD_TRAIN}"
            )
        if png:
            to_png(sbd_dir, report)
    if voc_dir:
        _evaluation_list(voc_dir, "seg11valid", train, chosen, report)
    if _wants_2012(archives, voc2012, report):
        voc_dir = obtain_voc("2012", archives, voc2012, "--voc2012", report)
        if voc_dir:
            _evaluation_list(voc_dir, "seg12valid", train, "", report)
    return report


def obtain_voc(
    year: str,
    archives: str,
    source: str,
    option: str,
    report: Report,
    parts: tuple[str, ...] = ("JPEGImages", "SegmentationClass"),
) -> str:
    """data/pascal/VOC<year>, with the dataset in it, or ""."""
    return obtain(
        ARCHIVES[year],
        archives,
        source,
        f"data/pascal/VOC{year}",
        below(f"VOC{year}"),
        parts,
        option,
        report,
    )


def _wants_2012(archives: str, source: str, report: Report) -> bool:
    """Whether there is a VOC 2012 to prepare: the published nets do without it."""
    file = ARCHIVES["2012"].file
    if source or os.path.isdir("data/pascal/VOC2012"):
        return True
    if archives and not os.path.isfile(os.path.join(archives, file)):
        report.note(f"VOC 2012 ({file}) is not in '{archives}'; the published nets do without it")
        return False
    return bool(archives)


def _evaluation_list(
    voc_dir: str, name: str, train: list[str], chosen: str, report: Report
) -> None:
    """Make the list of validation images that SBD does not train on, and check its files."""
    lists = os.path.join(voc_dir, "ImageSets", "Segmentation")
    path = os.path.join(lists, name + ".txt")
    if chosen:
        write_list(path, read_list(chosen, report), report)
    elif not os.path.exists(path):
        if not train:
            report.problem(
                f"'{path}' is not there; it is made from val.txt and SBD's train.txt"
                + (", or taken from --list FILE" if name == "seg11valid" else "")
            )
            return
        write_list(
            path, seg11valid(read_list(os.path.join(lists, "val.txt"), report), train), report
        )
    ids = read_list(path, report)
    report.files(voc_dir, ids, "JPEGImages/{}.jpg", "SegmentationClass/{}.png")
    if name == "seg11valid" and ids and len(ids) != SEG11VALID:
        report.note(
            f"seg11valid.txt lists {len(ids)} images; the published scores are of {SEG11VALID}"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Check PASCAL VOC and SBD, and put them where the nets look for them.",
    )
    parser.add_argument(
        "--archives",
        default="",
        metavar="DIR",
        help="where the archives are: {}; optional: {}".format(
            ", ".join([ARCHIVES["2011"].file, SBD.file]), ARCHIVES["2012"].file
        ),
    )
    parser.add_argument("--voc", default="", metavar="DIR", help="VOC2011, with JPEGImages in it")
    parser.add_argument(
        "--voc2012", default="", metavar="DIR", help="VOC2012, with JPEGImages in it (optional)"
    )
    parser.add_argument("--sbd", default="", metavar="DIR", help="SBD's dataset, with img and cls")
    parser.add_argument(
        "--list",
        default="",
        metavar="FILE",
        help="ids to evaluate on (default: VOC's val without SBD's train)",
    )
    parser.add_argument(
        "--png", action="store_true", help="also write SBD's labels as PNGs, for other programs"
    )
    options = parser.parse_args()
    paths = [
        user_path(path)
        for path in (options.voc, options.sbd, options.list, options.archives, options.voc2012)
    ]
    os.chdir(ROOT)
    voc, sbd, evaluate, archives, voc2012 = paths
    sys.exit(prepare(voc, sbd, evaluate, archives, voc2012, png=options.png).print())


if __name__ == "__main__":
    main()
