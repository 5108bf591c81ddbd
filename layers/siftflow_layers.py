"""Data layer of SIFT Flow: outdoor scenes with two labels for each pixel.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``siftflow_dir``, ``split``.
"""

import os

import numpy as np

from segdata import means
from segdata.layer import SegDataLayer
from segdata.siftflow import FILES, GEOMETRIC, SEMANTIC, read_geometric_label, read_semantic_label
from segdata.splits import read_split
from segdata.streams import ColorStream, LabelStream

__all__ = ["SIFTFlowSegDataLayer"]


class SIFTFlowSegDataLayer(SegDataLayer):
    """Tops: image, semantic label (0 to 32), geometric label (0 to 2: sky, horizontal, vertical).

    Pixels without a class are 255 in both.  ``classes`` is the number of semantic classes.
    """

    required = ("siftflow_dir", "split")
    mean = np.array(means.SIFTFLOW, np.float32)
    num_classes = SEMANTIC

    def list_entries(self, params):
        root = params["siftflow_dir"]
        ids = read_split(
            os.path.join(root, params["split"] + ".txt"),
            "'python data/siftflow.py' says what of SIFT Flow is missing",
        )
        return [
            tuple(os.path.join(root, pattern.format(name)) for pattern in FILES) for name in ids
        ]

    def streams(self, params):
        return [
            ColorStream(self.mean),
            LabelStream(read_semantic_label, int(params["classes"] or self.num_classes)),
            LabelStream(read_geometric_label, GEOMETRIC),
        ]
