"""DenseImageData: pictures and their label images from a list (SegNet)."""

from __future__ import annotations

from typing import Any

from caffe.data.label_images import LabelledTransformer
from caffe.layer import register
from caffe.layer.extensions._labelled_pictures import LabelledPictures


@register("DenseImageData")
class DenseImageData(LabelledPictures):
    """The lines of a list, ``image label_image``, in order, over and over.

    ``dense_image_data_param``: source (the list), root_folder (put before each path as it is),
    batch_size (1), new_height and new_width (labels take the nearest pixel's), is_color (true),
    shuffle, rand_skip.  ``transform_param``: crop and mirror work on both alike, which SegNet
    refused; mean and scale on the picture.  With a batch size of 1 each picture may have a size of
    its own.

    Tops: data (batch_size, 3, H, W) in B G R; label (batch_size, 1, H, W).
    """

    tops = 2
    log_name = "dense_image_data_layer"

    @property
    def settings(self) -> Any:
        return self.param.dense_image_data_param

    def transformer(self) -> LabelledTransformer:
        return LabelledTransformer(self.param.transform_param, self.phase)
