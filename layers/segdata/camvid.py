"""CamVid's files: split lists and labels."""

import os

import numpy as np

from segdata.errors import DataError
from segdata.images import IGNORE, read_label
from segdata.splits import read_split

__all__ = ["list_camvid", "read_camvid_label"]

#: The label of pixels without a class in CamVid's files.
VOID = 11

_TO_TRAINED = np.arange(256, dtype=np.uint8)
_TO_TRAINED[VOID] = IGNORE

_EXTENSIONS = (".png", ".jpg")


def read_camvid_label(path: str) -> np.ndarray:
    """The label map in ``path`` with void as 255: uint8 (H, W)."""
    return _TO_TRAINED[read_label(path)]


def list_camvid(root: str, split: str):
    """The (image, label) files that ``<root>/<split>.txt`` lists.

    A line is an id, whose image lies in ``<split>/`` and label in ``<split>annot/``, or the two
    paths as in the lists that come with the SegNet tutorial (``/SegNet/CamVid/train/x.png
    /SegNet/CamVid/trainannot/x.png``), of which the last two components count.
    """
    pairs = []
    for part in split.split("+"):
        lines = read_split(
            os.path.join(root, part + ".txt"),
            "'python data/camvid.py' says what of CamVid is missing",
        )
        for line in lines:
            fields = line.split()
            if len(fields) == 1:
                fields = [os.path.join(part, line), os.path.join(part + "annot", line)]
            elif len(fields) != 2:
                raise DataError(
                    f"'{os.path.join(root, part + '.txt')}': expected an id or two "
                    f"paths in a line; received '{line}'"
                )
            pairs.append(tuple(_find(root, field) for field in fields))
    return pairs


def _find(root: str, path: str) -> str:
    """The file under ``root`` with the last two components of ``path``, .png or .jpg.

    A missing file is not an error here but when it is read, as with the other datasets.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    if extension not in _EXTENSIONS:
        stem = name
    stem = os.path.join(root, os.path.basename(folder), stem)
    for extension in _EXTENSIONS:
        if os.path.isfile(stem + extension):
            return stem + extension
    return stem + _EXTENSIONS[0]
