"""SIFT Flow's files: where they are, and the labels: what a pixel shows, how the surface lies."""

import numpy as np

from segdata.mat import read_from_one

__all__ = [
    "FILES",
    "GEOMETRIC",
    "SEMANTIC",
    "SUBFOLDER",
    "read_geometric_label",
    "read_semantic_label",
]

#: The numbers of classes.
SEMANTIC, GEOMETRIC = 33, 3

SUBFOLDER = "spatial_envelope_256x256_static_8outdoorcategories"

#: The files of an image: itself, what is seen, how surfaces lie.
FILES = (
    f"Images/{SUBFOLDER}/{{}}.jpg",
    f"SemanticLabels/{SUBFOLDER}/{{}}.mat",
    f"GeoLabels/{SUBFOLDER}/{{}}.mat",
)


def read_semantic_label(path: str) -> np.ndarray:
    """33 classes, 255 where the file has 0: uint8 (H, W)."""
    return read_from_one(path, "S", SEMANTIC)


def read_geometric_label(path: str) -> np.ndarray:
    """Sky, horizontal, vertical; 255 where the file has -1 (or 0): uint8 (H, W)."""
    return read_from_one(path, "S", GEOMETRIC, void=(-1, 0))
