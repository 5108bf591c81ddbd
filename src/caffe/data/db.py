"""Databases of records: LMDB and LevelDB under one interface, as BVLC's layers and tools use them.

A database is a folder of (key, value) pairs of bytes in the keys' byte order; the values of image
databases are serialised ``Datum`` messages.

    with db.create("images_lmdb", "lmdb") as writer:
        writer.put(b"00000000_cat.jpg", datum.SerializeToString())
        writer.commit()
    cursor = db.open("images_lmdb", "lmdb").cursor()
    key, value = cursor.item()
    cursor.advance()                                   # to the first record after the last

A database that is being created appears under its name only when it is complete.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import os
import secrets
import shutil
import threading
import weakref
from collections.abc import Iterator
from typing import ClassVar

from caffe.errors import DataError
from caffe.hints import did_you_mean

__all__ = ["BACKENDS", "Cursor", "Database", "Writer", "create", "open"]

# The backends' names in flags and in DataParameter, and the modules of Reader and Store.
BACKENDS = {"lmdb": "caffe.data.db_lmdb", "leveldb": "caffe.data.db_leveldb"}

_open: weakref.WeakValueDictionary[tuple[str, str, int], Database] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class Cursor(abc.ABC):
    """A place in a database that has at least one record; it starts at the first."""

    def __init__(self, database: Database):
        self.database = database  # stays open as long as a cursor is in use

    @abc.abstractmethod
    def item(self) -> tuple[bytes, bytes]:
        """Key and value of the record here."""

    @abc.abstractmethod
    def next(self) -> bool:
        """Go to the next record; False at the end, where the cursor then is nowhere."""

    @abc.abstractmethod
    def first(self) -> bool:
        """Go to the first record; False where there is none."""

    @abc.abstractmethod
    def seek(self, key: bytes) -> bool:
        """Go to the record of this key, or the first one behind it; False where there is none."""

    def advance(self) -> bool:
        """Go to the next record, from the last one to the first; True where that happened."""
        return not self.next() and self.first()


class Database(abc.ABC):
    """An open database, for reading.  Closed when nothing refers to it any more."""

    backend: ClassVar[str]

    def __init__(self, source: str):
        self.source = source

    @abc.abstractmethod
    def records(self) -> Cursor | None:
        """A cursor at the first record, or None where there is none."""

    def cursor(self) -> Cursor:
        """A cursor at the first record.

        Raises:
            DataError: the database has no records.
        """
        cursor = self.records()
        if cursor is None:
            raise DataError(
                f"the {self.backend} {self.source} has no records. Expected one Datum a record, "
                "as convert_imageset writes them."
            )
        return cursor


class Writer(abc.ABC):
    """A database in the making.  What was put is on the disk after :meth:`commit`."""

    def __init__(self, folder: str):
        self.folder = folder

    @abc.abstractmethod
    def put(self, key: bytes, value: bytes) -> None:
        """Add a record, or replace the one of this key."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Write everything put since the last commit."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the files; what was not committed is lost."""


def open(source: str | os.PathLike[str], backend: str) -> Database:
    """The database in the folder ``source``.

    One that is open here already is shared: the LevelDB library cannot open a folder twice.

    Raises:
        DataError: it is missing, damaged, locked by another program, or of another backend; an
            unknown backend, or one whose package is not installed.
    """
    source = os.fsdecode(source)
    if backend == "leveldb" and os.path.exists(os.path.join(source, "data.mdb")):
        raise DataError(
            f"cannot open the leveldb '{source}': it looks like an lmdb. Write backend: LMDB; "
            "where backend is left out, LEVELDB is meant."
        )
    module = _module(backend)
    with _lock:
        key = (backend, os.path.realpath(source), _identity(source))
        database = _open.get(key)
        if database is None:
            if not os.path.exists(source):
                raise DataError(
                    f"cannot open the {backend} '{source}': No such file or directory (working "
                    f"directory {os.getcwd()}). Make it with convert_imageset."
                )
            database = module.Reader(source)
            _open[key] = database
        return database


def _identity(source: str) -> int:
    """Another number where the name now stands for another folder."""
    try:
        return os.stat(source).st_ino
    except OSError:
        return 0


@contextlib.contextmanager
def create(source: str | os.PathLike[str], backend: str) -> Iterator[Writer]:
    """A :class:`Writer` for a new database; it gets its name when the block ends without error.

    Raises:
        DataError: ``source`` exists, or cannot be written; or as :func:`open` for the backend.
    """
    module = _module(backend)
    source = os.fsdecode(source).rstrip("/") or "/"
    _refuse_existing(source)
    temporary = f"{source}.tmp-{secrets.token_hex(6)}"
    with _named(source):
        os.mkdir(temporary)
    try:
        writer = module.Store(temporary)
        try:
            yield writer
            writer.commit()
        finally:
            writer.close()
        _refuse_existing(source)
        with _named(source):
            os.rename(temporary, source)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _named(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write the database '{source}': {reason}") from error


def _refuse_existing(source: str) -> None:
    if os.path.lexists(source):
        raise DataError(
            f"cannot create the database '{source}': it exists already. Remove it, or choose "
            "another name."
        )


def _module(backend: str):
    if backend not in BACKENDS:
        raise DataError(
            f"Unknown database backend '{backend}': expected {' or '.join(BACKENDS)}."
            f"{did_you_mean(backend, BACKENDS)}"
        )
    return importlib.import_module(BACKENDS[backend])
