"""LevelDB, through the package plyvel, which is not installed by default."""

from __future__ import annotations

import os

from caffe.data.db import Cursor, Database, Writer
from caffe.errors import DataError

try:
    import plyvel
except ImportError as error:
    raise DataError(
        f"a LevelDB needs the package plyvel, which is not available ({error}): `pip install "
        "plyvel`. Or convert the images to an LMDB (convert_imageset -backend lmdb) and say "
        "backend: LMDB."
    ) from error

__all__ = ["Reader", "Store"]

# What BVLC opens a database with, so that its files look alike.
_OPTIONS = {"block_size": 1 << 16, "write_buffer_size": 1 << 28, "max_open_files": 100}


class LevelDbCursor(Cursor):
    """An iterator: it sees the database as it was when the cursor was made."""

    def __init__(self, database: Reader):
        super().__init__(database)
        self._iterator = database.db.iterator(verify_checksums=True)
        self._item: tuple[bytes, bytes] | None = None

    def item(self) -> tuple[bytes, bytes]:
        if self._item is None:
            raise DataError(f"the cursor is behind the last record of {self.database.source}")
        return self._item

    def next(self) -> bool:
        try:
            self._item = next(self._iterator, None)
        except plyvel.Error as error:
            raise DataError(f"cannot read the leveldb '{self.database.source}': {error}") from error
        return self._item is not None

    def first(self) -> bool:
        self._iterator.seek_to_start()
        return self.next()

    def seek(self, key: bytes) -> bool:
        self._iterator.seek(key)
        return self.next()


class Reader(Database):
    """A LevelDB; LevelDB lets only one process at a time open it, also for reading."""

    backend = "leveldb"

    def __init__(self, source: str):
        super().__init__(source)
        if not os.path.exists(os.path.join(source, "CURRENT")):
            raise DataError(f"cannot open the leveldb '{source}': the folder has no file CURRENT.")
        try:
            self.db = plyvel.DB(source, create_if_missing=False, paranoid_checks=True, **_OPTIONS)
        except (plyvel.Error, OSError) as error:
            locked = "lock" in str(error).lower()
            raise DataError(
                f"cannot open the leveldb '{source}': {error}"
                + (". Only one process at a time can open a LevelDB." if locked else "")
            ) from error

    def records(self) -> Cursor | None:
        cursor = LevelDbCursor(self)
        return cursor if cursor.first() else None


class Store(Writer):
    """A new LevelDB."""

    def __init__(self, folder: str):
        super().__init__(folder)
        try:
            self._db = plyvel.DB(folder, create_if_missing=True, error_if_exists=True, **_OPTIONS)
        except (plyvel.Error, OSError) as error:
            raise DataError(f"cannot create the leveldb '{folder}': {error}") from error
        self._batch = self._db.write_batch(sync=True)

    def put(self, key: bytes, value: bytes) -> None:
        self._batch.put(key, value)

    def commit(self) -> None:
        try:
            self._batch.write()
        except plyvel.Error as error:
            raise DataError(f"cannot write to the leveldb '{self.folder}': {error}") from error
        self._batch.clear()

    def close(self) -> None:
        self._batch.clear()
        self._db.close()
