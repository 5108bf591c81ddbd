"""ImageLabelmapData: pictures and maps of their edges from a list (HED, RCF)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from caffe.data import image_files
from caffe.data.label_images import LabelledTransformer
from caffe.layer import register
from caffe.layer.extensions._labelled_pictures import LabelledFiles, LabelledPictures, Lines


@register("ImageLabelmapData")
class ImageLabelmapData(LabelledPictures):
    """The lines of a list, ``image map``, in order, over and over.

    ``image_data_param``: source (the list), root_folder (put before each path as it is),
    batch_size (1), new_height and new_width (both bilinearly), is_color (true), shuffle,
    rand_skip.  ``transform_param``: crop and mirror work on both alike; mean and scale on the
    picture.  A map's grey values become 1 from 128 on, else 0: what at least half of the people
    saw who marked edges.  With a batch size of 1 each picture may have a size of its own.

    Tops: data (batch_size, 3, H, W) in B G R; map (batch_size, 1, H, W).  HED's own
    SigmoidCrossEntropyLoss weights edges by how rare they are; that type is BVLC's here.
    """

    tops = 2
    log_name = "image_labelmap_data_layer"

    @property
    def settings(self) -> Any:
        return self.param.image_data_param

    def transformer(self) -> LabelledTransformer:
        return LabelledTransformer(self.param.transform_param, self.phase)

    def files(self, *arguments: Any) -> LabelledFiles:
        return EdgeFiles(*arguments)


class EdgeFiles(LabelledFiles):
    """The pictures of a list, each with a map of edges."""

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        p = self._param
        image, edges = (
            image_files.read(p.root_folder + path, color)
            for path, color in zip(
                cast(Lines, self._lines)[self._order[self._number]], (p.is_color, False)
            )
        )
        if p.new_height:
            image, edges = (
                image_files.resize(array, p.new_height, p.new_width) for array in (image, edges)
            )
        return image.transpose(2, 0, 1), (edges[:, :, 0] >= 128).astype(np.uint8)
