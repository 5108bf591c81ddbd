"""Reading tar, tar.gz and zip files member by member, with one kind of error for all of them."""

import contextlib
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["ArchiveError", "Item", "open_archive", "safe_parts", "shown"]

BLOCK = 1 << 20

#: How many folders deep a member may lie, and how long its name may be, in bytes.
DEEPEST, LONGEST = 64, 1024
#: The most that a header of a tar file may take beside its member: names, times, owners.
HEADER = 1 << 20

#: What a damaged archive makes the readers raise. OSError covers gzip's own, NotImplementedError
#: and RuntimeError are zipfile's for compressions and encryptions it does not know.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    LookupError,
    OverflowError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class ArchiveError(Exception):
    """An archive that is damaged, or would write where it must not; names archive and member."""


class Item(NamedTuple):
    """A member: its name as it stands there, "file", "folder" or another kind, bytes, place."""

    name: str
    kind: str
    size: int
    offset: int
    handle: Any


def shown(name: str) -> str:
    """A member's name for a message: quoted, with control characters escaped."""
    return "'{}'".format(
        "".join(
            c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
            for c in name
        )
    )


def safe_parts(name: str, archive: str) -> list[str]:
    """The components of a member's name; ArchiveError if it could leave the target.

    Backslashes and drives count as Windows counts them, lest it matter where this runs.
    """
    reason = ""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        reason = "is an absolute path"
    elif ".." in parts:
        reason = "leads out of the folder"
    elif len(parts) > DEEPEST or len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        reason = "is longer or deeper than any folder's"
        name = name[:100] + "…"
    elif not all(c >= " " and c != "\x7f" for c in name):
        reason = "has control characters in it"
    elif "\\" in name:
        reason = "has a backslash in it"
    elif any("\ud800" <= c <= "\udfff" for c in name):  # how tarfile shows bytes it cannot decode
        reason = "is not UTF-8"
    if reason:
        raise ArchiveError(f"'{archive}' is refused: the name {shown(name)} {reason}")
    return parts


class _Source:
    """An opened archive: ``items()``, and the content of one of them in blocks."""

    def __init__(self, path: str, opened) -> None:
        self._path = path
        self._opened = opened

    def close(self) -> None:
        self._opened.close()

    @contextlib.contextmanager
    def reading(self, name: str = ""):
        """Turn what the readers raise into an ArchiveError that names the member."""
        try:
            yield
        except DAMAGE as error:
            where = f" at {shown(name)}" if name else ""
            text = f"{error}" or type(error).__name__
            raise ArchiveError(f"'{self._path}' is damaged or cut short{where}: {text}") from error

    def blocks(self, item: Item) -> Iterator[bytes]:
        with self.reading(item.name):
            file = self._file(item)
        with file:
            while True:
                with self.reading(item.name):
                    block = file.read(BLOCK)
                if not block:
                    return
                yield block

    def check(self, items: list) -> None:
        """Read the members through, so that damage is found before anything is written."""

    def check_size(self, item: Item, size: int) -> None:
        if size != item.size:
            raise ArchiveError(
                f"'{self._path}' is damaged at {shown(item.name)}: {size} bytes, "
                f"expected {item.size}"
            )


class _Header(tarfile.TarInfo):
    """A header; a damaged one is an error, where tarfile takes it for the archive's end.

    So is one that announces a name of gigabytes, which tarfile would read into memory.
    """

    @classmethod
    def frombuf(cls, *arguments, **options):
        return cls._of_bounded_size(super().frombuf(*arguments, **options))

    @classmethod
    def _frombuf(cls, *arguments, **options):
        """What Pythons since 3.14 read headers by, in the place of `frombuf`."""
        return cls._of_bounded_size(super()._frombuf(*arguments, **options))  # type: ignore[misc]

    @classmethod
    def _of_bounded_size(cls, made):
        special = not made.isreg() and not made.isdir() and not made.islnk() and not made.issym()
        if special and not made.isdev() and made.size > HEADER:
            raise tarfile.InvalidHeaderError(f"a header announces {made.size} bytes more of it")
        return made

    @classmethod
    def fromtarfile(cls, opened):
        try:
            return super().fromtarfile(opened)
        except tarfile.EOFHeaderError:  # the true end: a block of zeros
            raise
        except tarfile.HeaderError as error:
            text = f"{error}".replace("empty header", "no end of archive behind it")
            raise tarfile.ReadError(text) from error


class _Tar(_Source):
    def items(self) -> Iterator[Item]:
        """All members; reads to the very end, so that a cut archive is noticed."""
        name = ""
        while True:
            with self.reading(name):
                info = self._opened.next()
            if info is None:
                break
            name = info.name
            yield Item(name, _tar_kind(info), info.size, info.offset, info)
        with self.reading(name):
            while self._opened.fileobj.read(BLOCK):  # gzip's checksum comes last
                pass

    def _file(self, item: Item):
        return self._opened.extractfile(item.handle)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return "folder"
    if info.isreg():
        return "sparse file" if info.issparse() else "file"
    return "link" if info.issym() or info.islnk() else "device"


class _Zip(_Source):
    def items(self) -> Iterator[Item]:
        with self.reading():
            for info in self._opened.infolist():
                yield Item(info.filename, _zip_kind(info), info.file_size, info.header_offset, info)

    def check(self, items: list) -> None:
        # The list of a zip's members is at its end and says nothing of what is in them.
        for item in items:
            self.check_size(item, sum(len(block) for block in self.blocks(item)))

    def _file(self, item: Item):
        return self._opened.open(item.handle)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "device"
    return "folder" if info.filename.endswith("/") else "file"


@contextlib.contextmanager
def open_archive(path: str):
    """Open a tar, tar.gz or zip by its content, whatever its ending."""
    with open(path, "rb") as file:
        start = file.read(64)
    try:
        if start.startswith(b"PK"):
            source: Any = _Zip(path, zipfile.ZipFile(path))
        else:
            source = _Tar(path, tarfile.open(path, "r:*", tarinfo=_Header))
    except DAMAGE as error:
        if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise ArchiveError(
                f"'{path}' is a web page, not an archive: the server sent it in "
                "place of the file; download it again"
            ) from error
        raise ArchiveError(
            f"'{path}' cannot be opened as tar, tar.gz or zip ({error}); download it again"
        ) from error
    try:
        yield source
    finally:
        source.close()
