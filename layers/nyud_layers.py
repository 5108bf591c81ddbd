"""Data layer of NYUDv2: indoor scenes in colour and depth, 40 classes.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``nyud_dir``, ``split``, ``tops``, a
list drawn from ``color``, ``depth``, ``hha``, ``label``, in the order of the layer's tops;
``nearest``, in millimetres: smaller depths, such as the 0 of pixels that were not measured, are
raised to it (by default a 0 is an error, for it has no logarithm).
"""

import os

import numpy as np

from segdata import means
from segdata.errors import DataError
from segdata.layer import SegDataLayer
from segdata.nyud import CLASSES, FOLDERS, file_of, read_nyud_label
from segdata.splits import read_split
from segdata.streams import ColorStream, DepthStream, HHAStream, LabelStream

__all__ = ["NYUDSegDataLayer"]


class NYUDSegDataLayer(SegDataLayer):
    """``color`` is BGR, ``hha`` in file order, ``depth`` the logarithm of millimetres, less means.

    Labels are 0 to 39, 255 where the dataset has none.  A layer without the top ``label`` serves
    images alone.
    """

    required = ("nyud_dir", "split", "tops")
    optional = {"nearest": None}
    num_classes = CLASSES
    mean_bgr = np.array(means.NYUD_COLOR, np.float32)
    mean_hha = np.array(means.NYUD_HHA, np.float32)
    mean_log_depth = means.NYUD_LOG_DEPTH

    def list_entries(self, params):
        root = params["nyud_dir"]
        ids = read_split(
            os.path.join(root, params["split"] + ".txt"),
            "'python data/nyud.py' says what of NYUDv2 is missing",
        )
        return [tuple(file_of(root, kind, name) for kind in params["tops"]) for name in ids]

    def streams(self, params):
        tops, name = params["tops"], type(self).__name__
        names = isinstance(tops, (list, tuple)) and all(isinstance(top, str) for top in tops)
        if not names or not tops or len(set(tops)) != len(tops):
            raise DataError(
                f"{name}: expected for 'tops' a list of different names, drawn from "
                f"{', '.join(FOLDERS)}; received {tops!r}"
            )
        unknown = [top for top in tops if top not in FOLDERS]
        if unknown:
            raise DataError(
                f"{name}: unknown name {unknown[0]!r} in 'tops'; expected some of "
                f"{', '.join(FOLDERS)}"
            )
        if params["balance"] and "label" not in tops:
            raise DataError(f"{name}: 'balance' needs the top 'label'; received tops {tops!r}")
        nearest = params["nearest"]
        if not (nearest is None or (isinstance(nearest, (int, float)) and nearest > 0)):
            raise DataError(f"{name}: expected for 'nearest' millimetres; received {nearest!r}")
        made = {
            "color": lambda: ColorStream(self.mean_bgr),
            "hha": lambda: HHAStream(self.mean_hha),
            "depth": lambda: DepthStream(self.mean_log_depth, params["nearest"]),
            "label": lambda: LabelStream(
                read_nyud_label, int(params["classes"] or self.num_classes)
            ),
        }
        return [made[top]() for top in tops]
