"""Data layer of CamVid: road scenes, 11 classes, 360x480 pixels.

Keys of ``param_str`` besides those of segdata.layer.OPTIONAL: ``camvid_dir``, ``split``, ``mean``
(B, G, R).  Two splits can be joined: ``'train+val'``.
"""

from segdata.camvid import list_camvid, read_camvid_label
from segdata.layer import SegDataLayer

__all__ = ["CamVidSegDataLayer"]


class CamVidSegDataLayer(SegDataLayer):
    """CamVid's 11 classes as in SegNet's labels; 11, the void there, becomes 255."""

    required = ("camvid_dir", "split", "mean")
    num_classes = 11
    read_label = staticmethod(read_camvid_label)

    def list_entries(self, params):
        return list_camvid(params["camvid_dir"], params["split"])
