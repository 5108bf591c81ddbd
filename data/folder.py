"""Any folder of images and masks as a dataset: split lists, mean, converted masks, description.

    python data/folder.py --images DIR --masks DIR [--classes names.txt] [--val-share 0.1]
                          [--rgb palette.txt | --values 0,255] [--out DIR]

Images and masks belong together by name.  Masks are PNGs of class numbers, 255 where a pixel does
not count; --rgb and --values convert others.  OUT (default: data/folder/NAME) gets train.txt,
val.txt, the converted masks, and dataset.json, which says all that nets/make.py, the data layer and
data/check.py need.  Nothing of the user's is changed; running it again gives the same.
"""

import argparse
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bootstrap import HOME
from data.preparing.folder import FILE, Options, prepare
from data.preparing.report import find_layers, user_path

__all__ = ["FILE", "Options", "numbers", "prepare", "share", "side"]


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
