"""A folder of images and masks made a dataset: pairs, conversions, lists, description."""

import os
from collections import Counter
from typing import Any, NamedTuple, Optional

import numpy as np

from data.preparing import masks as mask_files
from data.preparing import partition, shrink
from data.preparing.colours import read_colours
from data.preparing.read_all import Seen, read_all
from data.preparing.report import ROOT, Report, find_layers, tell
from fcn.atomic import write_text
from fcn.catalog.description import Description, write_description
from fcn.palette import save_label_png, voc_palette

__all__ = ["FILE", "Options", "prepare"]

FILE = "dataset.json"
SEED = 1337


class Options(NamedTuple):
    """What the user said; paths are absolute."""

    images: str
    masks: str
    out: str
    name: str
    names: Optional[list] = None
    val_share: float = 0.1
    rgb: str = ""
    values: Any = None
    ignore: Optional[list] = None
    suffix: str = ""
    #: Lists of the images to train on and to validate on, in place of a share.
    lists: Optional[tuple] = None
    #: Leave out files that are wrong, and name them, instead of ending with them.
    skip_bad: bool = False
    #: Larger images are made so many pixels long or high, in copies; 0: none is.
    longest: int = 0


def prepare(options: Options) -> Report:
    """Pair, convert and check all masks, then write the lists and the description."""
    find_layers()
    from segdata.errors import DataError
    from segdata.folders import pair_up

    report = Report()
    try:
        found = pair_up(options.images, options.masks, options.suffix)
    except DataError as error:
        report.problem(str(error))
        return report
    for what, alone in (
        ("images have no mask", found.images_alone),
        ("masks have no image", found.masks_alone),
    ):
        if alone:
            report.note(f"{len(alone)} {what} and are left out, the first is '{alone[0]}'")
    if not found.pairs:
        hint = _suffix_hint(found.images_alone, found.masks_alone)
        report.problem(f"no image and mask have the same name{hint}")
        return report
    if len(found.pairs) < 2:
        report.problem(
            "there is one image with a mask; expected two at least, to train and to validate"
        )
        return report
    names, palette, pairs, labels_dir = options.names, voc_palette(), found.pairs, options.masks
    if options.rgb or options.values:
        try:
            reader, names, palette = _reader(options)
        except (OSError, ValueError) as error:
            report.problem(str(error))
            return report
        labels_dir = os.path.join(options.out, "labels")
        pairs = _convert(options, pairs, reader, labels_dir, palette, report)
    if options.longest and not report.problems:
        images = options.images
        options, labels_dir, pairs = _shrink(options, labels_dir, pairs, palette, report)
        if options.images != images:
            report.did(f"larger images are shown at {options.longest} pixels, in {options.images}")
    if len(pairs) < 2 and not report.problems:
        report.problem("fewer than two images and masks are right")
    if report.problems:
        return report
    try:
        if options.lists:
            train, val = (partition.listed(pairs, path) for path in options.lists)
        else:
            train, val = partition.split(pairs, options.val_share)
    except (DataError, OSError) as error:
        report.problem(str(error))
        return report
    both = {image for image, _ in train} & {image for image, _ in val}
    if both:
        report.note(f"{len(both)} images are in both lists, the first is '{min(both)}'")
    if options.lists and len(train) + len(val) < len(pairs):
        report.note(f"{len(pairs)} images have masks, the lists name {len(train) + len(val)}")
    seen = None
    if not report.problems:
        seen = read_all(options, labels_dir, train, val, names, report)
    if seen is not None and not report.problems:
        names = names or [f"class {i}" for i in range(seen.classes)]
        _write(options, labels_dir, train, val, names, palette, seen, report)
    return report


def _suffix_hint(images: list, masks: list) -> str:
    """Advice where each mask is named after an image with something behind it."""
    if not (images and masks):
        return ": one of the folders is empty"
    stem = os.path.splitext(images[0])[0]
    for mask in masks:
        if mask.startswith(stem):
            return f"; try --mask-suffix={os.path.splitext(mask)[0][len(stem) :]}"
    return f": the first image is '{images[0]}', the first mask '{masks[0]}'"


def _reader(options: Options):
    """How masks become class numbers, the names of the classes, and their palette."""
    if options.rgb:
        labels, names, palette = read_colours(options.rgb)
        return mask_files.by_colours(labels), options.names or names, palette
    return (
        mask_files.by_values(options.values, options.ignore or []),
        options.names or [f"class {i}" for i in range(len(options.values))],
        voc_palette(),
    )


def _convert(
    options: Options, pairs: list, reader, labels_dir: str, palette: np.ndarray, report: Report
) -> list:
    """Write all masks as palette PNGs of class numbers; the pairs with their new names."""
    from segdata.errors import DataError

    converted, bad = [], []
    for image, mask in pairs:
        target = os.path.splitext(mask)[0] + ".png"
        path = os.path.join(options.masks, mask)
        try:
            doubt = mask_files.suspicious(path)
            if doubt:
                raise ValueError(f"'{path}' {doubt}")
            label = reader(path)
        except (DataError, OSError, ValueError) as error:
            bad.append(f"{error}" if path in f"{error}" else f"cannot read '{path}': {error}")
            continue
        os.makedirs(os.path.dirname(os.path.join(labels_dir, target)), exist_ok=True)
        save_label_png(os.path.join(labels_dir, target), label, palette)
        converted.append((image, target))
    tell(bad, len(pairs), report, options.skip_bad)
    if not report.problems:
        report.did(f"{len(converted)} masks converted to class numbers in {labels_dir}")
    return converted


def _shrink(
    options: Options, labels_dir: str, pairs: list, palette: np.ndarray, report: Report
) -> tuple[Options, str, list]:
    """Copies of all images and masks where any image is longer than `options.longest`.

    Returns the options with the copies' folder, the folder of their masks, and the pairs.
    """
    from segdata.errors import DataError
    from segdata.images import open_image

    longest, sizes = 0, {}
    for image, _ in pairs:
        try:
            with open_image(os.path.join(options.images, image), decode=False) as opened:
                sizes[image] = opened.size
                longest = max(longest, *opened.size)
        except DataError:
            continue  # reading it will say why
    if longest <= options.longest:
        return options, labels_dir, pairs
    images, labels = (os.path.join(options.out, name) for name in ("images", "labels"))
    bad, made = [], []
    for image, mask in pairs:
        stem, path = os.path.splitext(image)[0], os.path.join(labels_dir, mask)
        try:
            doubt = mask_files.suspicious(path)
            if doubt:
                raise DataError(f"'{path}' {doubt}")
            shrink.shrink(
                os.path.join(options.images, image),
                path,
                os.path.join(images, stem + ".jpg"),
                os.path.join(labels, stem + ".png"),
                options.longest,
                palette,
            )
        except (DataError, OSError, ValueError) as error:
            bad.append(str(error))
            continue
        made.append((stem + ".jpg", stem + ".png"))
    tell(bad, len(pairs), report, options.skip_bad)
    return options._replace(images=images), labels, made


def _portable(path: str) -> str:
    """A path below the repository as the prototxts have it, another as it is."""
    inside = os.path.join(ROOT, "")
    return path[len(inside) :].replace(os.sep, "/") if path.startswith(inside) else path


def _write(
    options: Options,
    labels_dir: str,
    train: list,
    val: list,
    names: list,
    palette: np.ndarray,
    seen: Seen,
    report: Report,
) -> None:
    """The lists, then the description, by which they are found."""
    base = Counter(os.path.splitext(os.path.basename(image))[0] for image, _ in train + val)
    if len(base) < len(train) + len(val):
        report.note(
            "several images in different folders have one name: saved predictions of them "
            "would overwrite each other"
        )
    folders = {
        "root": _portable(options.out),
        "images_dir": _portable(options.images),
        "labels_dir": _portable(labels_dir),
    }
    os.makedirs(options.out, exist_ok=True)
    params = dict(folders, mean=seen.mean, classes=len(names))
    if options.ignore and not (options.rgb or options.values):
        params["ignore"] = options.ignore
    layer: dict = {"module": "folder_layers", "layer": "FolderSegDataLayer"}
    for split, pairs in (("train", train), ("val", val)):
        text = "".join(f"{image}\t{mask}\n" for image, mask in pairs)
        write_text(os.path.join(options.out, split + ".txt"), text)
        layer[split] = dict(params, seed=SEED, split=split)
    path = os.path.join(options.out, FILE)
    write_description(
        path,
        Description(
            options.name,
            tuple(names),
            palette,
            tuple(seen.mean),
            (int(seen.size[0]), int(seen.size[1])),
            {"train": len(train), "val": len(val)},
            layer,
        ),
    )
    report.did(
        f"{path}: {len(train)} images to train on, {len(val)} to validate, mean "
        "{} (B, G, R)".format(", ".join(str(v) for v in seen.mean))
    )
