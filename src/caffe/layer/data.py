"""Data: pictures from an LMDB or a LevelDB."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe import glog
from caffe.data import db
from caffe.data.data_transformer import DataTransformer
from caffe.data.datum import parse_datum
from caffe.errors import LayerError
from caffe.layer import register
from caffe.layer._prefetching import PictureSource, PrefetchingLayer
from caffe.rank import solver_count, solver_rank

TRAIN = 0


@register("Data")
class Data(PrefetchingLayer):
    """The records of a database (``Datum`` messages), in the order of their keys, over and over.

    ``data_param``: source (a folder), backend (LEVELDB by default, or LMDB), batch_size, prefetch;
    rand_skip and force_encoded_color are ignored, as in BVLC.  ``transform_param``: see
    :mod:`caffe.data.data_transformer`.  Where several solvers train together, a TRAIN net takes
    every n-th record, beginning with its rank's.

    Tops: data (batch_size, C, H, W), B G R for encoded pictures; label (batch_size) if asked for.
    """

    graphable = False
    tops = (1, 2)
    log_name = "data_layer"

    @property
    def batch_size(self) -> int:
        return self.param.data_param.batch_size

    def source(self, transformer: DataTransformer) -> PictureSource:
        p = self.param.data_param
        if not p.source:
            raise LayerError("data_param { source } is missing: name the database's folder")
        backend = p.DB.Name(p.backend).lower()
        cursor = db.open(p.source, backend).cursor()
        glog.info(f"db_{backend}", f"Opened {backend} {p.source}")
        rank, count = (solver_rank(), solver_count()) if self.phase == TRAIN else (0, 1)
        if rank >= count:
            raise LayerError(
                f"the solver rank is {rank}, the solver count {count}: expected a rank below the "
                "count. Call caffe.set_solver_count and caffe.set_solver_rank before the solver."
            )
        return self.records(cursor, transformer, self.batch_size, rank, count)

    def records(self, *arguments: Any) -> Records:
        """The records of the layer's kind."""
        return Records(*arguments)


class Records(PictureSource):
    """A database's records from the first on, those with number = rank modulo count."""

    def __init__(
        self,
        cursor: db.Cursor,
        transformer: DataTransformer,
        batch_size: int,
        rank: int,
        count: int,
    ) -> None:
        super().__init__(transformer, batch_size)
        self._cursor, self._rank, self._count = cursor, rank, count
        self._logs = glog.is_on()  # asked here: the thread that reads has no rank
        self._number = 0  # of the record here; goes on counting after the last one

    def picture(self) -> tuple[np.ndarray, int]:
        datum = parse_datum(self._cursor.item()[1])
        return self.transformer.pixels(datum), datum.label

    def advance(self) -> None:
        self._number += 1
        if self._cursor.advance() and self._logs:
            glog.info("data_layer", "Restarting data prefetching from start.")

    def find(self) -> None:
        while self._number % self._count != self._rank:
            self.advance()

    def name(self) -> str:
        key = self._cursor.item()[0].decode(errors="backslashreplace")
        return f"record '{key}' of {self._cursor.database.source}"

    def position(self) -> Any:
        return self._number, self._cursor.item()[0]

    def set_position(self, position: Any) -> None:
        self._number, key = position
        self._cursor.seek(key)
