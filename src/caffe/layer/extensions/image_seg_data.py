"""ImageSegData: pictures and their labels from a list (DeepLab, DeconvNet, PSPNet)."""

from __future__ import annotations

from typing import Any

from caffe.data.label_images import LabelledTransformer
from caffe.layer import register
from caffe.layer.extensions._labelled_pictures import LabelledPictures


@register("ImageSegData")
class ImageSegData(LabelledPictures):
    """The lines of a list in order, over and over.  ``image_data_param`` as of ImageData, and
    ``label_type``: PIXEL, lines ``image label_image``; IMAGE (default), lines ``image label``, for
    all pixels; NONE, lines ``image``, all pixels ``ignore_label`` (255).

    A picture smaller than ``transform_param``'s crop_size, or crop_h and crop_w, is padded below
    and on the right: by the mean, so that the data are 0 there, and labels by ``ignore_label``.
    Crop and mirror work on both alike.  With a batch size of 1 and no crop each picture may have a
    size of its own.

    Tops: data (batch_size, 3, H, W) in B G R; label (batch_size, 1, H, W); in DeepLab also
    data_dim (batch_size, 1, 1, 2), rows and columns of each picture, at most H and W.
    """

    tops = (2, 3)
    log_name = "image_seg_data_layer"

    @property
    def settings(self) -> Any:
        return self.param.image_data_param

    @property
    def kind(self) -> str:
        return self.settings.LabelType.Name(self.settings.label_type)

    def transformer(self) -> LabelledTransformer:
        ignore = self.settings.ignore_label
        return LabelledTransformer(self.param.transform_param, self.phase, True, ignore)
