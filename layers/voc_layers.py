"""Data layers of PASCAL VOC segmentation and of SBD, its larger set of training labels.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``voc_dir`` or ``sbdd_dir``,
``split``, ``mean`` (B, G, R).
"""

import os

from segdata.layer import SegDataLayer
from segdata.mat import read_sbd_label
from segdata.splits import read_split

__all__ = ["SBDDSegDataLayer", "VOCSegDataLayer"]


class VOCSegDataLayer(SegDataLayer):
    """PASCAL VOC's layout: JPEGImages, SegmentationClass, ImageSets/Segmentation/<split>.txt.

    Labels are palette PNGs: 0 background, 1 to 20 objects, 255 borders and difficult objects.
    """

    required = ("voc_dir", "split", "mean")
    num_classes = 21

    def list_entries(self, params):
        root, split = params["voc_dir"], params["split"]
        ids = read_split(
            os.path.join(root, "ImageSets", "Segmentation", split + ".txt"),
            "'python data/voc.py' says what of VOC is missing, 'python data/toy.py' makes a toy "
            "dataset of this layout",
        )
        return [
            (
                os.path.join(root, "JPEGImages", name + ".jpg"),
                os.path.join(root, "SegmentationClass", name + ".png"),
            )
            for name in ids
        ]


class SBDDSegDataLayer(SegDataLayer):
    """The Semantic Boundaries Dataset: img, cls/<id>.mat and <split>.txt in one directory."""

    required = ("sbdd_dir", "split", "mean")
    num_classes = 21
    read_label = staticmethod(read_sbd_label)

    def list_entries(self, params):
        root, split = params["sbdd_dir"], params["split"]
        ids = read_split(
            os.path.join(root, split + ".txt"), "'python data/voc.py' says what of SBD is missing"
        )
        return [
            (os.path.join(root, "img", name + ".jpg"), os.path.join(root, "cls", name + ".mat"))
            for name in ids
        ]
