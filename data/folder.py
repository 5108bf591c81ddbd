"""Any folder of images and masks as a dataset: split lists, mean, converted masks, description.

    python data/folder.py --images DIR --masks DIR [--classes names.txt] [--val-share 0.1]
                          [--rgb palette.txt | --values 0,255] [--out DIR]

Images and masks belong together by name.  Masks are PNGs of class numbers, 255 where a pixel does
not count; --rgb and --values convert others.  OUT (default: data/folder/NAME) gets train.txt,
val.txt, the converted masks, and dataset.json, which says all that nets/make.py, the data layer and
data/check.py need.  Nothing of the user's is changed; running it again gives the same.
"""

import argparse
import hashlib
import os
import sys
from collections import Counter
from typing import Any, NamedTuple, Optional

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bootstrap import HOME
from data.preparing import masks as mask_files
from data.preparing import shrink
from data.preparing.colours import IGNORE, read_colours
from data.preparing.report import ROOT, Report, find_layers, user_path
from fcn.atomic import write_text
from fcn.catalog.description import Description, write_description
from fcn.palette import save_label_png, voc_palette

__all__ = ["Options", "numbers", "prepare", "share", "side"]

FILE = "dataset.json"
SEED = 1337
#: Problems of single files that are told before the run is ended.
TOLD = 10


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
            train, val = (_listed(pairs, path) for path in options.lists)
        else:
            train, val = _split(pairs, options.val_share)
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
        seen = _survey(options, labels_dir, train, val, names, report)
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
    _tell(bad, len(pairs), report, options.skip_bad)
    if not report.problems:
        report.did(f"{len(converted)} masks converted to class numbers in {labels_dir}")
    return converted


def _tell(bad: list, count: int, report: Report, skip: bool = False) -> None:
    """The first problems of single files one by one, the rest as a number.

    skip: they are left out, and all of them are named.
    """
    if skip:
        for text in bad:
            report.note(f"left out: {text}")
        return
    for text in bad[:TOLD]:
        report.problem(text)
    if len(bad) > TOLD:
        report.problem(f"and {len(bad) - TOLD} more of {count} are bad")
    if bad:
        report.note("--skip-bad leaves such files out")


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
    _tell(bad, len(pairs), report, options.skip_bad)
    return options._replace(images=images), labels, made


def _split(pairs: list, share: float) -> tuple[list, list]:
    """Training and validation pairs: by a hash of the name, so that more images move few."""
    ranked = sorted(pairs, key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    count = min(max(int(round(share * len(pairs))), 1), len(pairs) - 1)
    chosen = set(ranked[:count])
    return [p for p in pairs if p not in chosen], [p for p in pairs if p in chosen]


def _listed(pairs: list, path: str) -> list:
    """The pairs that a list names, in its order: an image a line, with or without its ending."""
    from segdata.errors import DataError
    from segdata.splits import read_lines

    known = {}
    for pair in pairs:
        stem = os.path.splitext(pair[0])[0]
        known[pair[0]] = known[stem] = pair
        known.setdefault(os.path.basename(pair[0]), pair)
        known.setdefault(os.path.basename(stem), pair)
    names = [line.split("\t")[0] for line in read_lines(path)]
    missing = [name for name in names if name not in known]
    if not names:
        raise DataError(f"'{path}' is empty")
    if missing:
        raise DataError(
            f"'{path}' names {len(missing)} images that are not there or have no mask, the first "
            f"is '{missing[0]}'"
        )
    return [known[name] for name in names]


class _Seen(NamedTuple):
    """What all images and masks together are like; mean in B, G, R of the training images."""

    classes: int
    mean: list
    size: tuple


def _survey(
    options: Options, labels_dir: str, train: list, val: list, names: Optional[list], report: Report
) -> Optional[_Seen]:
    """Read everything once: problems of single files, class counts, the mean."""
    from segdata.errors import DataError
    from segdata.images import check_label, read_label, read_rgb

    limit = len(names) if names else IGNORE
    raw_ignored = [] if options.rgb or options.values else options.ignore or []
    counts = np.zeros(256, np.int64)
    sizes: Counter = Counter()
    total, pixels, turned, bad = np.zeros(3), 0, [], []
    wrong: set[tuple] = set()
    for number, (image_name, mask_name) in enumerate(train + val):
        path = os.path.join(labels_dir, mask_name)
        try:
            image = read_rgb(os.path.join(options.images, image_name))
            label = read_label(path)
            label[np.isin(label, raw_ignored)] = IGNORE
            doubt = mask_files.suspicious(path)
            if doubt:
                raise DataError(f"'{path}' {doubt}")
            if label.shape != (image.height, image.width):
                raise DataError(
                    f"'{image_name}' is {image.width}x{image.height}, its mask "
                    f"{label.shape[1]}x{label.shape[0]}"
                )
            check_label(label, limit, path)
        except DataError as error:
            advice = "; see --rgb and --values" if "expected class numbers" in str(error) else ""
            bad.append(f"{error}{advice}")
            wrong.add((image_name, mask_name))
            continue
        if mask_files.is_turned(os.path.join(options.images, image_name)):
            turned.append(image_name)
        counts += np.bincount(label.ravel(), minlength=256)
        sizes[label.shape] += 1
        if number < len(train):
            values = np.asarray(image)
            total += values.reshape(-1, 3).sum(axis=0)
            pixels += label.size
    _tell(bad, len(train) + len(val), report, options.skip_bad)
    for pairs in (train, val):
        pairs[:] = [pair for pair in pairs if pair not in wrong]
    if not (train and val) and not report.problems:
        report.problem("of the images to train on, or of those to validate on, none is right")
    if report.problems:
        return None
    present = np.flatnonzero(counts[:IGNORE])
    if not names and counts[IGNORE] and present.tolist() == [0]:
        report.problem(
            "the masks hold only 0 and 255, and 255 is what does not count; if it is "
            "the foreground, say --values 0,255"
        )
        return None
    if not len(present):
        report.problem("all pixels of all masks are 255, which does not count")
        return None
    classes = limit if names else int(present[-1]) + 1
    absent = [i for i in range(classes) if not counts[i]]
    if absent:
        report.note(
            "no pixel is of class {}".format(
                ", ".join(f"{i} {names[i]}" if names else str(i) for i in absent[:TOLD])
            )
        )
    report.did(
        f"{len(train) + len(val)} images with {classes} classes, "
        f"{100 * counts[IGNORE] / counts.sum():.1f} % of the pixels do not count"
    )
    if turned:
        report.note(mask_files.turned_text(turned))
    if len(sizes) > 1:
        report.note(f"there are {len(sizes)} sizes: batches of several images need a crop")
    mean = [round(float(value), 3) for value in (total / pixels)[::-1]]
    return _Seen(classes, mean, sizes.most_common(1)[0][0])


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
    seen: _Seen,
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


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1; received '{text}'")
    return value


def side(text: str) -> int:
    if not (text.isdecimal() and 32 <= int(text) <= 100000):
        raise argparse.ArgumentTypeError(f"expected a number of pixels from 32; received '{text}'")
    return int(text)


def numbers(text: str) -> list[int]:
    fields = text.split(",")
    fits = all(field.strip().isdecimal() and len(field) < 10 for field in fields)
    if not fits or len(set(fields)) != len(fields):
        raise argparse.ArgumentTypeError(f"expected numbers as 0,255; received '{text}'")
    return [int(field) for field in fields]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Make a dataset of a folder of images and a folder of masks.",
    )
    parser.add_argument("--images", required=True, metavar="DIR", type=user_path)
    parser.add_argument("--masks", required=True, metavar="DIR", type=user_path)
    parser.add_argument(
        "--classes",
        metavar="FILE",
        type=user_path,
        help="names of the classes, one per line (default: class 0, class 1, …)",
    )
    parser.add_argument(
        "--val-share",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="share of the images used for validation (default: 0.1)",
    )
    for split, what in (("train", "train"), ("val", "validate")):
        parser.add_argument(
            f"--{split}",
            metavar="FILE",
            type=user_path,
            help=f"a list of the images to {what} on, one a line (both lists, or --val-share)",
        )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--rgb",
        default="",
        metavar="FILE",
        type=user_path,
        help="masks are coloured: a file of lines 'R G B name'; the name void is ignored",
    )
    how.add_argument(
        "--values",
        type=numbers,
        metavar="V,V",
        help="masks are grey: the values of class 0, class 1, …, as 0,255",
    )
    parser.add_argument(
        "--ignore",
        type=numbers,
        metavar="V,V",
        help="values of grey masks to ignore, besides 255",
    )
    parser.add_argument(
        "--mask-suffix",
        default="",
        metavar="TEXT",
        help="suffix of the masks' names: _L for a_L.png",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out files that are wrong, and name them, instead of ending with them",
    )
    parser.add_argument(
        "--longest",
        type=side,
        default=0,
        metavar="N",
        help="make copies of images whose longer side has more than N pixels, and of their masks, "
        "at that size (default: images stay as they are)",
    )
    parser.add_argument("--name", help="name of the dataset (default: the folder above the masks)")
    parser.add_argument(
        "--out", metavar="DIR", type=user_path, help="(default: data/folder/NAME in the repository)"
    )
    options = parser.parse_args()
    find_layers()
    from segdata.errors import DataError
    from segdata.splits import read_lines

    name = options.name or os.path.basename(os.path.dirname(options.masks)) or "mine"
    names = None
    if options.classes:
        try:
            names = read_lines(options.classes)
        except (DataError, OSError) as error:
            parser.error(f"--classes '{options.classes}': {error}")
    lists = (options.train, options.val) if options.train or options.val else None
    if lists and not all(lists):
        parser.error("--train and --val go together")
    out = options.out or os.path.join(HOME, "data", "folder", name)
    sys.exit(
        prepare(
            Options(
                options.images,
                options.masks,
                out,
                name,
                names,
                options.val_share,
                options.rgb,
                options.values,
                options.ignore,
                options.mask_suffix,
                lists,
                options.skip_bad,
                options.longest,
            )
        ).print("PROBLEM")
    )


if __name__ == "__main__":
    main()
