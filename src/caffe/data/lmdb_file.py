"""Reading an LMDB file without the library: its pages, its tree, a place in it.

The library refuses to open a file that is open elsewhere in the process, for reading too, and its
memory map ends the process where a file was cut short.  The format is small and fixed since 2012:
pages of equal size; the first two are meta pages, of which the one with the higher transaction
number counts; a B+ tree of branch and leaf pages; values that do not fit a leaf lie in runs of
overflow pages.  Numbers are those of a 64-bit little-endian machine.

Nothing is locked.  A writer in another program may use a page again that belonged to an older
state, but not before two more commits; so every page is read before the number of the last commit
is looked at, and counts only where that has not gone on by two.  (LMDB: mdb.c, MDB_meta, MDB_page,
MDB_node, mdb_find_oldest.)
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

__all__ = ["Cursor", "LmdbFile", "LmdbFileError", "Stale"]

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _META = 0x01, 0x02, 0x04, 0x08
_BIG_VALUE = 0x01
_DUPLICATES = 0x04
_NOTHING = 0xFFFFFFFFFFFFFFFF
_HEADER = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_META_HEAD = struct.Struct("<II16x")  # magic, version, address and map size
_TREE = struct.Struct("<IHHQQQQQ")  # pad, flags, depth, pages of three kinds, entries, root
_META_TAIL = struct.Struct("<QQ")  # last page, transaction
_META_SIZE = _HEADER.size + _META_HEAD.size + 2 * _TREE.size + _META_TAIL.size
_NODE = struct.Struct("<HHHH")  # low and high half of the size, flags, size of the key
_DEEPEST = 32  # of a tree, CURSOR_STACK in mdb.c


class LmdbFileError(Exception):
    """The file is no LMDB, or damaged; the message says where."""


class Stale(Exception):
    """The pages of this state may have been written over since."""


class Snapshot(NamedTuple):
    """The state of the file after one commit."""

    transaction: int
    root: int
    depth: int
    entries: int
    last_page: int


class LmdbFile:
    """An LMDB file, open for reading; ``close`` it, or let it be collected."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            self.page_size = self._read_page_size()
            snapshot = self.snapshot()
            self._check_length(snapshot)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            self.close()

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; all of them."""
        data = os.pread(self._file, size, offset)
        while len(data) < size:
            more = os.pread(self._file, size - len(data), offset + len(data))
            if not more:
                raise LmdbFileError(
                    f"the file ends after {os.fstat(self._file).st_size} bytes, {offset + size} "
                    "are needed: it was cut short, as by a copy that broke off"
                )
            data += more
        return data

    def _read_page_size(self) -> int:
        head = self.read(0, _META_SIZE)
        magic, version = _META_HEAD.unpack_from(head, _HEADER.size)
        if magic != _MAGIC:
            raise LmdbFileError("the file is no LMDB: the mark at its beginning is missing")
        if version != _VERSION:
            raise LmdbFileError(f"version {version} of the format, expected {_VERSION}")
        size = _TREE.unpack_from(head, _HEADER.size + _META_HEAD.size)[0]
        if not 256 <= size <= 65536 or size & (size - 1):
            raise LmdbFileError(f"a page size of {size} bytes")
        return size

    def _meta(self, number: int) -> bytes:
        meta = self.read(number * self.page_size, _META_SIZE)
        _, _, flags, _, _ = _HEADER.unpack_from(meta)
        magic, _ = _META_HEAD.unpack_from(meta, _HEADER.size)
        if not flags & _META or magic != _MAGIC:
            raise LmdbFileError(f"meta page {number} is damaged")
        return meta

    def snapshot(self) -> Snapshot:
        """The newest state."""
        found = []
        for number in (0, 1):
            meta = self._meta(number)
            last_page, transaction = _META_TAIL.unpack_from(meta, _META_SIZE - _META_TAIL.size)
            place = _META_SIZE - _META_TAIL.size - _TREE.size
            _, flags, depth, _, _, _, entries, root = _TREE.unpack_from(meta, place)
            if flags & _DUPLICATES:
                raise LmdbFileError(
                    "several values for one key, which Caffe's databases never have"
                )
            if depth > _DEEPEST or (root != _NOTHING and root > last_page):
                raise LmdbFileError(f"meta page {number} is damaged")
            found.append(Snapshot(transaction, root, depth, entries, last_page))
        return max(found)

    def check_fresh(self, snapshot: Snapshot) -> None:
        """Raise Stale where pages of this state may have been used again before now."""
        place = _META_SIZE - 8
        for number in (0, 1):
            data = self.read(number * self.page_size + place, 8)
            if int.from_bytes(data, "little") > snapshot.transaction + 1:
                raise Stale

    def page(self, number: int, snapshot: Snapshot, kind: int) -> bytes:
        """A branch or leaf page."""
        if not 2 <= number <= snapshot.last_page:
            raise LmdbFileError(f"page {number} is none of the file's")
        data = self.read(number * self.page_size, self.page_size)
        self.check_fresh(snapshot)
        own, _, flags, lower, _ = _HEADER.unpack_from(data)
        if own != number or not flags & kind or not 16 <= lower <= self.page_size:
            raise LmdbFileError(f"page {number} is damaged")
        return data

    def value(self, node: Node, page: bytes, snapshot: Snapshot) -> bytes:
        """The value of a node in a leaf page."""
        if not node.flags & _BIG_VALUE:
            if node.start + node.size > len(page):
                raise LmdbFileError("a value reaches beyond its page")
            return page[node.start : node.start + node.size]
        number = int.from_bytes(page[node.start : node.start + 8], "little")
        offset = number * self.page_size
        if not 2 <= number or offset + 16 + node.size > (snapshot.last_page + 1) * self.page_size:
            raise LmdbFileError(f"a value of {node.size} bytes in page {number}, beyond the file")
        data = self.read(offset, 16 + node.size)
        self.check_fresh(snapshot)
        own, _, flags, _, _ = _HEADER.unpack_from(data)
        if own != number or not flags & _OVERFLOW:
            raise LmdbFileError(f"page {number} is damaged")
        return data[16:]

    def _check_length(self, snapshot: Snapshot) -> None:
        """Where the file ends before its last page, see whether a record lies there.

        The last pages may be free ones that were never written.
        """
        if os.fstat(self._file).st_size >= (snapshot.last_page + 1) * self.page_size:
            return
        cursor = Cursor(self)
        found = cursor.first()
        while found:
            cursor.item()
            found = cursor.next()


class Node(NamedTuple):
    """An entry of a page: its key, and where its value or child is."""

    key: bytes
    flags: int
    size: int
    start: int
    child: int


def _count(page: bytes) -> int:
    return (_HEADER.unpack_from(page)[3] - 16) // 2


def _node(page: bytes, index: int) -> Node:
    (place,) = struct.unpack_from("<H", page, 16 + 2 * index)
    if not 16 <= place <= len(page) - _NODE.size:
        raise LmdbFileError("an entry lies beyond its page")
    low, high, flags, key_size = _NODE.unpack_from(page, place)
    start = place + _NODE.size + key_size
    if start > len(page):
        raise LmdbFileError("a key reaches beyond its page")
    key = page[place + _NODE.size : start]
    return Node(key, flags, low | high << 16, start, low | high << 16 | flags << 32)


class Cursor:
    """A place among the records of an :class:`LmdbFile`, in the order of their keys.

    It sees the state of the file that was the newest when it was made.  Where a writer has gone on
    by so much that this state may be written over, it goes on in the newest one, at the same key.
    """

    def __init__(self, file: LmdbFile) -> None:
        self._file = file
        self._snapshot = file.snapshot()
        self._path: list[tuple[bytes, int]] = []  # page and index, from the root to the leaf
        self._key = b""
        self._seen = 0

    def first(self) -> bool:
        """Go to the first record; False where there is none."""
        self._seen = 0
        return self._to(b"")

    def seek(self, key: bytes) -> bool:
        """Go to the first record whose key is not less; False where there is none."""
        self._seen = 0
        return self._to(key)

    def next(self) -> bool:
        """Go to the next record; False at the end."""
        if not self._path:
            return False
        try:
            return self._step()
        except Stale:
            key = self._key
            return self._to(key) and (self._key != key or self.next())

    def item(self) -> tuple[bytes, bytes]:
        """Key and value here; the empty ones behind the last record."""
        while self._path:
            page, index = self._path[-1]
            node = _node(page, index)
            try:
                return node.key, self._file.value(node, page, self._snapshot)
            except Stale:
                self._to(self._key)
        return b"", b""

    def _to(self, key: bytes) -> bool:
        while True:
            try:
                return self._descend(key)
            except Stale:
                self._snapshot = self._file.snapshot()
                self._seen = 0

    def _descend(self, key: bytes) -> bool:
        self._path = []
        snapshot = self._snapshot
        self._file.check_fresh(snapshot)
        if snapshot.root == _NOTHING or not snapshot.entries:
            return False
        number = snapshot.root
        for depth in range(1, snapshot.depth + 1):
            leaf = depth == snapshot.depth
            page = self._file.page(number, snapshot, _LEAF if leaf else _BRANCH)
            index = _place(page, key, leaf)
            if not leaf and not _count(page):
                raise LmdbFileError(f"page {number} is empty")
            self._path.append((page, index))
            number = 0 if leaf else _node(page, index).child
        if not self._path:
            raise LmdbFileError("the tree has no depth")
        page, index = self._path[-1]
        if index >= _count(page):
            return self._climb()
        return self._arrive()

    def _step(self) -> bool:
        page, index = self._path[-1]
        if index + 1 >= _count(page):
            return self._climb()
        self._path[-1] = (page, index + 1)
        return self._arrive()

    def _climb(self) -> bool:
        """Go to the first record of the next leaf."""
        path = self._path[:-1]
        while path and path[-1][1] + 1 >= _count(path[-1][0]):
            path.pop()
        if not path:
            self._path = []
            return False
        page, index = path.pop()
        path.append((page, index + 1))
        while len(path) < self._snapshot.depth:
            page, index = path[-1]
            leaf = len(path) + 1 == self._snapshot.depth
            child = _node(page, index).child
            path.append((self._file.page(child, self._snapshot, _LEAF if leaf else _BRANCH), 0))
        if not _count(path[-1][0]):
            raise LmdbFileError("a leaf page is empty")
        self._path = path
        return self._arrive()

    def _arrive(self) -> bool:
        page, index = self._path[-1]
        self._key = _node(page, index).key
        self._seen += 1
        if self._seen > self._snapshot.entries:
            raise LmdbFileError(f"more than the {self._snapshot.entries} records of its head")
        return True


def _place(page: bytes, key: bytes, leaf: bool) -> int:
    """The first entry of a leaf that is not less than the key; of a branch the one that leads to
    it, whose first entry has no key."""
    low, high = (0 if leaf else 1), _count(page)
    while low < high:
        middle = (low + high) // 2
        other = _node(page, middle).key
        if other < key or (not leaf and other == key):
            low = middle + 1
        else:
            high = middle
    return low if leaf else max(low - 1, 0)
