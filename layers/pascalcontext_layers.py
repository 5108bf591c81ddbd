"""Data layer of PASCAL-Context: whole scenes of PASCAL VOC 2010 in 59 classes and background.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``voc_dir``, the folder that VOC2010
is in, ``context_dir``, ``split`` (a list of VOC2010/ImageSets/Main).
"""

import functools
import os

import numpy as np

from segdata import means
from segdata.layer import SegDataLayer
from segdata.pascalcontext import class_map, read_context_label
from segdata.splits import read_split

__all__ = ["PASCALContextSegDataLayer"]


class PASCALContextSegDataLayer(SegDataLayer):
    """Labels are 0 to 59: 0 is all else that the dataset names, a class that is trained as any.

    No pixel is ignored.  ``<context_dir>`` holds trainval/<id>.mat, labels.txt and 59_labels.txt.
    """

    required = ("voc_dir", "context_dir", "split")
    #: The published layer has it fixed.
    mean = np.array(means.PASCALCONTEXT, np.float32)
    num_classes = 60

    def list_entries(self, params):
        voc, split = os.path.join(params["voc_dir"], "VOC2010"), params["split"]
        ids = read_split(
            os.path.join(voc, "ImageSets", "Main", split + ".txt"),
            "'python data/pascalcontext.py' says what of PASCAL-Context is missing",
        )
        return [
            (
                os.path.join(voc, "JPEGImages", name + ".jpg"),
                os.path.join(params["context_dir"], "trainval", name + ".mat"),
            )
            for name in ids
        ]

    def label_reader(self, params):
        return functools.partial(read_context_label, classes=class_map(params["context_dir"]))
