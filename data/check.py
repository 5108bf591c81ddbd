"""Check a dataset's images and labels, all of them, as a net would be given them.

    python data/check.py voc                       a dataset of fcn/catalog, or one of its nets
    python data/check.py data/folder/mine/dataset.json
    python data/check.py --images DIR --masks DIR [--classes N|names.txt]

Prints sizes, kinds of mask files, and a table of the labels; tells of missing and unreadable files,
sizes that differ, masks in colours, and the first wrong value with its file and pixel.  The exit
status is 1 when there is a problem.
"""

import argparse
import os
import sys
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


import bootstrap
import data
from data.preparing.colours import IGNORE
from data.preparing.label_checks import Labels, check_entries, check_layer
from data.preparing.report import Report
from segdata.splits import read_lines

__all__ = ["main"]


def check_folders(
    images: str,
    masks: str,
    classes: Any,
    names: Any,
    suffix: str,
    report: Report,
    limit: int = 0,
) -> None:
    """Check two folders whose files belong together by name."""
    from segdata import DataError
    from segdata.folders import pair_up
    from segdata.images import read_label
    from segdata.loader import BatchLoader
    from segdata.streams import ColorStream, LabelStream

    try:
        found = pair_up(images, masks, suffix)
    except DataError as error:
        report.problem(str(error))
        return
    for what, alone in (
        ("images have no mask", found.images_alone),
        ("masks have no image", found.masks_alone),
    ):
        if alone:
            report.problem(f"{len(alone)} {what} of their name, the first is '{alone[0]}'")
    if not found.pairs:
        report.problem(
            "nothing to check: no image and mask have the same name; --mask-suffix=_L "
            "would pair a.jpg with a_L.png"
        )
        return
    entries = [
        (os.path.join(images, image), os.path.join(masks, mask)) for image, mask in found.pairs
    ]
    load = BatchLoader(
        entries, [ColorStream(np.zeros(3)), LabelStream(read_label, classes or IGNORE)]
    )
    check_entries(
        masks,
        entries,
        lambda index: [load([(0, index)])[1][0, 0]],
        [Labels("label", classes, names)],
        report,
        limit,
    )


def check_dataset(name: str, folders: list, split: str, report: Report, limit: int = 0) -> None:
    """Check a dataset of the catalog, by its name or that of one of its nets; LookupError."""
    from fcn import catalog

    known = [experiment.dataset for experiment in catalog.EXPERIMENTS.values()]
    if name in catalog.EXPERIMENTS:
        found = [catalog.experiment(name).dataset]
    else:
        found = _variants([dataset for dataset in known if dataset.name == name])
    if not found:
        raise LookupError(
            "no dataset '{}'; there are {}, the nets of fcn/catalog, and any dataset.json".format(
                name, ", ".join(sorted({d.name for d in known}))
            )
        )
    for dataset in found:
        if folders and len(folders) != len(dataset.folders):
            raise LookupError(
                "--data needs {} for {}: {}".format(
                    len(dataset.folders), name, ", ".join(dataset.folders)
                )
            )
        given = dict(zip(dataset.folders, folders))
        module = data.dataset(dataset.name)
        labels = [
            Labels(output.label, output.classes, getattr(module, output.names))
            for output in dataset.outputs
        ]
        inputs = [blob.blob for blob in dataset.inputs]
        for part, source in _parts(dataset.train, dataset.val, split):
            params = dict(source.params, **{k: v for k, v in given.items() if k in source.params})
            params.update(part)
            title = f"{name}, {params['split']}"
            if len(found) > 1:
                title += " ({})".format(", ".join(params["tops"]))
            check_layer(title, source.module, source.layer, params, inputs, labels, report, limit)


def _variants(datasets: list) -> list:
    """Of datasets with the same tops the first, the published one; of tops not the smaller set."""
    first: dict = {}
    for dataset in datasets:
        first.setdefault(frozenset(dataset.train.params.get("tops", ())), dataset)
    return [dataset for tops, dataset in first.items() if not any(tops < other for other in first)]


def _parts(train, val, split: str) -> list:
    """Which layers to check and what to change in their params: both, one, or another list."""
    both: list = [({}, train), ({}, val)]
    if not split:
        return both
    return {"train": both[:1], "val": both[1:]}.get(split) or [({"split": split}, val)]


def check_description(path: str, split: str, report: Report, limit: int = 0) -> None:
    """Check what a dataset.json describes; ValueError if it is none."""
    found = data.dataset(path)
    for part, params in _parts(found.layer["train"], found.layer["val"], split):
        params = dict(params, **part)
        check_layer(
            f"{found.name}, {params['split']}",
            found.layer["module"],
            found.layer["layer"],
            params,
            ["data"],
            [Labels("label", len(found.CLASSES), found.CLASSES)],
            report,
            limit,
        )


def _classes(text: str):
    """A number of classes, or a file of their names: (number, names)."""
    if text.isdecimal() and len(text) < 9:
        if not 1 <= int(text) < IGNORE:
            raise argparse.ArgumentTypeError(f"expected 1 to {IGNORE - 1} classes; received {text}")
        return int(text), None
    from segdata import DataError

    try:
        names = read_lines(bootstrap.user_path(text))
    except (DataError, OSError) as error:
        raise argparse.ArgumentTypeError(f"cannot read '{text}': {error}") from error
    return len(names), names


def main(argv=None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Check a dataset's images and labels as a net would read them.",
    )
    parser.add_argument(
        "dataset", nargs="?", help="a dataset of fcn/catalog, one of its nets, or a dataset.json"
    )
    parser.add_argument("--images", metavar="DIR", type=bootstrap.user_path)
    parser.add_argument("--masks", metavar="DIR", type=bootstrap.user_path)
    parser.add_argument(
        "--classes",
        metavar="N|FILE",
        type=_classes,
        default=(None, None),
        help="with --images: how many classes, or their names, one per line",
    )
    parser.add_argument(
        "--mask-suffix",
        default="",
        metavar="TEXT",
        help="with --images: the suffix of the masks' names",
    )
    parser.add_argument(
        "--split", default="", help="train, val or another list (default: train and val)"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="DIR",
        type=bootstrap.user_path,
        default=[],
        help="the dataset's folders, as for its solve.py",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=0,
        metavar="N",
        help="check N images, spread evenly (default: all)",
    )
    options = parser.parse_args(argv)
    folders = bool(options.images and options.masks)
    if folders == bool(options.dataset) or bool(options.images) != bool(options.masks):
        parser.error("give either a dataset, or --images and --masks")
    from segdata import DataError

    report = Report()
    path = options.dataset and bootstrap.user_path(options.dataset)
    bootstrap.enter()
    try:
        if folders:
            classes, names = options.classes
            check_folders(
                options.images,
                options.masks,
                classes,
                names,
                options.mask_suffix,
                report,
                options.limit,
            )
        elif path.endswith(".json"):
            check_description(path, options.split, report, options.limit)
        else:
            check_dataset(options.dataset, options.data, options.split, report, options.limit)
    except (DataError, LookupError, OSError, ValueError) as error:
        report.problem(str(error))
    return report.print("PROBLEM")


if __name__ == "__main__":
    sys.exit(main())
