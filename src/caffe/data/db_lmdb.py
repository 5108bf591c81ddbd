"""LMDB: a folder with ``data.mdb`` and ``lock.mdb``, one unnamed database in it.

Reading needs no package (:mod:`caffe.data.lmdb_file`).  Writing asks for the package lmdb, here, at
the first database, so that everything else works without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

from caffe.data import lmdb_file
from caffe.data.db import Cursor, Database, Writer
from caffe.errors import DataError

__all__ = ["Reader", "Store"]

_FIRST_SIZE = 1 << 26  # bytes of the map; it grows by doubling
_LOCK_SIZE = 8192  # bytes of lock.mdb for the 126 readers that LMDB allows


class LmdbCursor(Cursor):
    """It sees the database as it was when the cursor was made."""

    def __init__(self, database: Reader):
        super().__init__(database)
        self._cursor = self._checked(lambda: lmdb_file.Cursor(database.file))

    def item(self) -> tuple[bytes, bytes]:
        return self._checked(self._cursor.item)

    def next(self) -> bool:
        return self._checked(self._cursor.next)

    def first(self) -> bool:
        return self._checked(self._cursor.first)

    def seek(self, key: bytes) -> bool:
        return self._checked(lambda: self._cursor.seek(key))

    def _checked(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except (lmdb_file.LmdbFileError, OSError) as error:
            raise DataError(f"cannot read the lmdb '{self.database.source}': {error}") from error


class Reader(Database):
    """An LMDB, for reading.  It may be open elsewhere, in this process too, and be written to."""

    backend = "lmdb"

    def __init__(self, source: str):
        super().__init__(source)
        path = source
        if os.path.isdir(source):
            path = os.path.join(source, "data.mdb")
            if not os.path.exists(path):
                raise DataError(
                    f"cannot open the lmdb '{source}': the folder has no data.mdb."
                    + (
                        " It looks like a leveldb (backend: LEVELDB)."
                        if _is_leveldb(source)
                        else ""
                    )
                )
        try:
            self.file = lmdb_file.LmdbFile(path)
        except (lmdb_file.LmdbFileError, OSError) as error:
            raise DataError(f"cannot open the lmdb '{source}': {error}") from error

    def records(self) -> Cursor | None:
        cursor = LmdbCursor(self)
        return cursor if cursor.first() else None


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise DataError(
            f"to write an LMDB needs the package lmdb, which is not available ({error}): "
            "`pip install lmdb`."
        ) from error
    return lmdb


class Store(Writer):
    """A new LMDB."""

    def __init__(self, folder: str):
        super().__init__(folder)
        self._batch: list[tuple[bytes, bytes]] = []
        lmdb = _lmdb()
        try:
            # LMDB maps this file into memory: a page without room on the disk ends the process.
            with open(os.path.join(folder, "lock.mdb"), "wb") as stream:
                stream.write(bytes(_LOCK_SIZE))
            self._env = lmdb.open(folder, map_size=_FIRST_SIZE)
        except (lmdb.Error, OSError) as error:
            raise DataError(f"cannot create the lmdb '{folder}': {error}") from error

    def put(self, key: bytes, value: bytes) -> None:
        self._batch.append((key, value))

    def commit(self) -> None:
        lmdb = _lmdb()
        while self._batch:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, value in self._batch:
                        transaction.put(key, value)
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.BadValsizeError as error:
                longest = max((key for key, _ in self._batch), key=len)
                raise DataError(
                    f"LMDB refuses a key: expected 1 to {self._env.max_key_size()} bytes, got "
                    f"{len(longest)}: {longest[:60]!r}... Use shorter paths, or -backend leveldb."
                ) from error
            except lmdb.Error as error:
                raise DataError(
                    f"cannot write to the lmdb '{self.folder}': {error}{_cause(self.folder)}"
                ) from error
            else:
                self._batch.clear()

    def close(self) -> None:
        self._batch.clear()
        self._env.close()


def _cause(folder: str) -> str:
    """What is behind LMDB's "Input/output error", where that can be found out."""
    try:
        if shutil.disk_usage(folder).free < 1 << 20:
            return " (the disk is full)"
        import resource  # which Windows lacks

        if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
            return " (File too large: the size of files is limited, see ulimit -f)"
    except (OSError, ImportError):
        pass
    return ""


def _is_leveldb(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "CURRENT"))
