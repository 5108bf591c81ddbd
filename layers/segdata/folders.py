"""Any folder of images and any folder of masks: which belong together, and split lists of them."""

import os
from typing import NamedTuple

from segdata.errors import DataError
from segdata.images import ENDINGS
from segdata.splits import read_split

__all__ = ["Pairing", "find_stem", "list_folder", "pair_up", "read_pairs"]


class Pairing(NamedTuple):
    """(image, mask) pairs, and what is left over on either side; paths relative to the folders."""

    pairs: list
    images_alone: list
    masks_alone: list


def list_folder(folder: str) -> dict[str, str]:
    """{path without ending: path} of the images below ``folder``, relative to it, sorted."""
    if not os.path.isdir(folder):
        raise DataError(f"no folder '{os.path.abspath(folder)}'")
    found: dict[str, str] = {}
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.relpath(os.path.join(base, name), folder)
            stem, ending = os.path.splitext(path)
            if name.startswith(".") or ending.lower() not in ENDINGS:
                continue
            _check_name(path, folder)
            if stem in found:
                raise DataError(
                    f"'{folder}' holds '{found[stem]}' and '{path}': which of the two "
                    "is meant? keep one"
                )
            found[stem] = path
    return dict(sorted(found.items()))


def _check_name(path: str, folder: str) -> None:
    """Raise for a name that a list, a line for an image, could not hold unharmed."""
    parts = path.split(os.sep)
    reason = ""
    if any(part != part.strip() for part in parts):
        reason = "begins or ends with a blank"
    elif not path.isprintable():
        reason = "has a control character or bytes that are no UTF-8 in it"
    if reason:
        raise DataError(f"the name {path!r} in '{folder}' {reason}; rename the file")


def pair_up(images_dir: str, labels_dir: str, suffix: str = "") -> Pairing:
    """Pair images and masks of the same path without ending.

    ``suffix`` ends the masks' names where the images' do not have it: a.jpg and a_mask.png.
    """
    images, masks = list_folder(images_dir), list_folder(labels_dir)
    if suffix:
        masks = {
            stem[: -len(suffix)]: path for stem, path in masks.items() if stem.endswith(suffix)
        }
    return Pairing(
        [(path, masks[stem]) for stem, path in images.items() if stem in masks],
        [path for stem, path in images.items() if stem not in masks],
        [path for stem, path in masks.items() if stem not in images],
    )


def find_stem(folder: str, stem: str) -> str:
    """The image ``stem`` below ``folder``, whatever its ending.

    A missing file is not an error here but when it is read, as with the other datasets.
    """
    for ending in ENDINGS:
        for spelling in (ending, ending.upper()):
            path = os.path.join(folder, stem + spelling)
            if os.path.isfile(path):
                return path
    return os.path.join(folder, stem + ENDINGS[0])


def read_pairs(path: str, images_dir: str, labels_dir: str) -> list[tuple[str, str]]:
    """The (image, mask) files of a split list.

    A line is the paths of both, relative to their folders, with a tab between them, or one path
    without ending for both.
    """
    pairs = []
    for line in read_split(path, "'python data/folder.py' makes the lists"):
        fields = line.split("\t")
        if len(fields) == 1:
            pairs.append((find_stem(images_dir, line), find_stem(labels_dir, line)))
        elif len(fields) == 2:
            pairs.append((os.path.join(images_dir, fields[0]), os.path.join(labels_dir, fields[1])))
        else:
            raise DataError(
                f"'{path}': expected a name, or an image, a tab and a mask in a line; "
                f"received {line!r}"
            )
    return pairs
