"""NYUDv2's files as prepared: where they are, and the labels."""

import os

import numpy as np

from segdata.mat import read_from_one

__all__ = ["CLASSES", "FOLDERS", "file_of", "read_nyud_label"]

CLASSES = 40

#: Where each kind of file of an image lies, by the name of its top.
FOLDERS = {
    "color": "data/images/img_{}.png",
    "depth": "data/depth/img_{}.png",
    "hha": "data/hha/img_{}.png",
    "label": "segmentation/img_{}.mat",
}


def file_of(root: str, kind: str, name: str) -> str:
    """The file of an image: ``kind`` is one of FOLDERS, ``name`` its id."""
    return os.path.join(root, FOLDERS[kind].format(name))


def read_nyud_label(path: str) -> np.ndarray:
    """40 classes, 255 where the file has 0: uint8 (H, W)."""
    return read_from_one(path, "segmentation", CLASSES)
