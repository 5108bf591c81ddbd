"""Data layer of any folder of images and masks; `python data/folder.py` prepares one.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``split``, ``mean`` (B, G, R),
``classes``, and where the files are: ``root``, with a list ``<split>.txt`` in it, or
``images_dir`` and ``labels_dir``, or all three.  ``ignore``: a value of the masks, or several, that
becomes 255.
"""

import functools
import os

import numpy as np

from segdata.errors import DataError
from segdata.folders import pair_up, read_pairs
from segdata.images import IGNORE, read_label
from segdata.layer import SegDataLayer

__all__ = ["FolderSegDataLayer"]


class FolderSegDataLayer(SegDataLayer):
    """Masks are palette or grey images of class numbers.

    With ``root``, its list says what belongs together (see segdata.folders.read_pairs), below
    ``images_dir`` and ``labels_dir``, which are ``<root>/images`` and ``<root>/labels`` unless they
    are given.  Without it, all images and masks of the same name are served, as the split's name
    says in random order or not.
    """

    required = ("split", "mean", "classes")
    optional = {"root": None, "images_dir": None, "labels_dir": None, "ignore": None}

    def list_entries(self, params):
        root, images, labels = (params[key] for key in ("root", "images_dir", "labels_dir"))
        if root:
            return read_pairs(
                os.path.join(root, str(params["split"]) + ".txt"),
                images or os.path.join(root, "images"),
                labels or os.path.join(root, "labels"),
            )
        if not (images and labels):
            raise DataError(
                f"{type(self).__name__}: expected root, or images_dir and labels_dir, in param_str"
            )
        found = pair_up(images, labels)
        if found.images_alone:
            alone, count = found.images_alone, len(found.images_alone) + len(found.pairs)
            raise DataError(
                f"{len(alone)} of {count} images in '{images}' have no mask of their "
                f"name in '{labels}', the first is '{alone[0]}'"
            )
        return [
            (os.path.join(images, image), os.path.join(labels, mask)) for image, mask in found.pairs
        ]

    def label_reader(self, params):
        if params["ignore"] is None:
            return read_label
        values = np.arange(256, dtype=np.uint8)
        ignored = np.atleast_1d(params["ignore"])
        if not (ignored.dtype.kind in "iu" and ((0 <= ignored) & (ignored <= 255)).all()):
            raise DataError(
                f"{type(self).__name__}: expected for 'ignore' a value from 0 to 255 "
                f"or several; received {params['ignore']!r}"
            )
        values[ignored] = IGNORE
        return functools.partial(_read_mapped, values=values)


def _read_mapped(path: str, values: np.ndarray) -> np.ndarray:
    return values[read_label(path)]
