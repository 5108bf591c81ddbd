"""AnnotatedData: pictures with marked objects from an LMDB or a LevelDB (SSD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from google.protobuf.message import DecodeError

from caffe.data.data_transformer import DataTransformer
from caffe.errors import DataError, Error
from caffe.layer import register
from caffe.layer.data import Data, Records
from caffe.layer.extensions._ssd_pictures import AnnotatedTransformer
from caffe.proto import caffe_pb2


@register("AnnotatedData")
class AnnotatedData(Data):
    """The records of a database (``AnnotatedDatum`` messages), in the order of their keys, over and
    over.

    ``data_param`` as of Data.  ``transform_param``: ``resize_param`` (every resize_mode),
    ``crop_size`` or ``crop_h`` and ``crop_w``, mirror, mean_value or mean_file, scale,
    ``noise_param``; in TRAIN also ``distort_param``, ``expand_param`` and ``emit_constraint``.
    ``annotated_data_param``: in TRAIN a picture is one of the parts that the ``batch_sampler``
    find, or the whole; ``label_map_file`` is not read.  The random numbers are not SSD's.  Of
    ``noise_param`` every change that is switched on is made; ``prob`` changes nothing.

    Tops: data (batch_size, C, H, W); label 1 x 1 x G x 8, a row an object of the batch: item,
    label, number of the instance, xmin, ymin, xmax, ymax in shares of the picture, difficult; one
    row of -1 where there is no object.
    """

    log_name = "annotated_data_layer"

    def transformer(self) -> DataTransformer:
        samplers = self.param.annotated_data_param.batch_sampler
        return AnnotatedTransformer(self.param.transform_param, self.phase, samplers)

    def records(self, *arguments: Any) -> Records:
        return AnnotatedRecords(*arguments)


class AnnotatedRecords(Records):
    """The records with their objects."""

    transformer: AnnotatedTransformer

    def annotated(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture here and its objects, as they are stored."""
        record = _parse(self._cursor.item()[1])
        return self.transformer.pixels(record.datum), _objects(record)

    def picture(self) -> tuple[np.ndarray, int]:
        return self.annotated()[0], 0

    def shapes(self) -> Sequence[tuple[int, ...]]:
        try:
            size = self.transformer.size(self.picture()[0])
        except Error as error:
            raise DataError(f"{self.name()}: {error}") from error
        return (self.batch_size, *size), (1, 1, 1, 8)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        data = torch.empty(0)
        rows = [np.empty((0, 8), np.float32)]
        for item in range(self.batch_size):
            self.find()
            try:
                pixels, objects = self.transformer.changed(*self.annotated())
                shape = self.transformer.shape(pixels)
                if item == 0:
                    data = self._empty(self.batch_size, *shape)
                elif shape != tuple(data.shape[1:]):
                    raise DataError(
                        f"the picture is {shape} (channels, height, width), the first one "
                        f"of the batch was {tuple(data.shape[1:])}: set resize_param, or use "
                        "batch_size 1"
                    )
                objects = self.transformer.finish(pixels, objects, data[item].numpy())
            except Error as error:
                raise DataError(f"{self.name()}: {error}") from error
            rows.append(np.insert(objects, 0, item, axis=1))
            self.advance()
        labels = np.concatenate(rows)
        if not len(labels):
            labels = np.full((1, 8), -1, np.float32)
        return data, torch.from_numpy(labels.reshape(1, 1, -1, 8))


def _parse(value: bytes) -> Any:
    try:
        record = caffe_pb2.AnnotatedDatum.FromString(value)
    except DecodeError as error:
        raise DataError(f"no AnnotatedDatum ({error})") from error
    if not record.HasField("datum"):
        raise DataError("no AnnotatedDatum with a picture: is this a database of plain Datums?")
    return record


def _objects(record: Any) -> np.ndarray:
    """The objects of an ``AnnotatedDatum``, G x 7 (see ``_ssd_pictures``)."""
    rows = [
        (
            group.group_label,
            one.instance_id,
            one.bbox.xmin,
            one.bbox.ymin,
            one.bbox.xmax,
            one.bbox.ymax,
            one.bbox.difficult,
        )
        for group in record.annotation_group
        for one in group.annotation
    ]
    return np.array(rows, np.float32).reshape(-1, 7)
