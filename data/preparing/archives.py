"""Unpacking the datasets' archives: safely, once, and on again after an interruption.

An archive (tar, tar.gz, zip) is read through once before anything is written: every name must stay
inside the target, what is wanted must be plain files, the archive must be whole, and the disk must
have room.  Then each file is written under a temporary name and renamed, so that a run that is
stopped leaves whole files only, and the next run goes on behind them.  A list of what was written
is left in the target, and by it a further run has nothing to do.
"""

import hashlib
import os
import shutil
import tempfile
from typing import Callable, NamedTuple, Optional

from data.preparing.archive_formats import ArchiveError, Item, open_archive, safe_parts, shown
from data.preparing.report import Report, link
from fcn.atomic import write_text
from fcn.lock import Busy, locked

__all__ = ["Archive", "ArchiveError", "Unpacked", "below", "fetch", "flat", "obtain", "unpack"]

#: Where a member goes: its name → path below the target, None for what is not wanted.
Place = Callable[[str], Optional[str]]

#: What the names of folders begin with in which a run has a file until it is whole; what a killed
#: run leaves there, the next one removes.
ASIDE = ".unpacking"


class Archive(NamedTuple):
    """An archive as it is downloaded: file name, what it is, where it is from, its MD5 if known."""

    file: str
    what: str
    home: str
    md5: str = ""


class Unpacked(NamedTuple):
    """How many files of the archive are in the target, and how many of them are new there."""

    files: int
    written: int


def below(folder: str) -> Place:
    """Everything below ``folder``, wherever that is in the archive, without what is above it.

    >>> below("VOC2011")("TrainVal/VOCdevkit/VOC2011/JPEGImages/a.jpg")
    'JPEGImages/a.jpg'
    """
    wanted = folder.split("/")

    def place(name: str) -> Optional[str]:
        parts = name.split("/")
        for start in range(len(parts) - len(wanted)):
            if parts[start : start + len(wanted)] == wanted:
                return _unless_hidden("/".join(parts[start + len(wanted) :]))
        return None

    return place


def flat(*endings: str) -> Place:
    """All files with one of the endings, without their folders."""

    def place(name: str) -> Optional[str]:
        base = name.rsplit("/", 1)[-1]
        return _unless_hidden(base) if base.lower().endswith(endings) else None

    return place


def _unless_hidden(path: str) -> Optional[str]:
    """None for what macOS adds to archives: ``._x`` beside every x."""
    return None if path.rsplit("/", 1)[-1].startswith("._") else path


def unpack(archive: str, target: str, place: Place = lambda name: name) -> Unpacked:
    """Unpack what ``place`` wants to ``target``; ArchiveError names the archive and the member.

    Files that are there with the right size are left alone. Two runs do not unpack to one target.
    """
    record = os.path.join(target, ".unpacked-" + os.path.basename(archive))
    known = _recorded(record, archive)
    if known is not None and all(_is_there(target, path, size) for path, size in known):
        return Unpacked(len(known), 0)
    with open_archive(archive) as source:
        wanted = _plan(source.items(), archive, place)
        missing = _missing(wanted, target)
        need, free = sum(item.size for _, item in missing), shutil.disk_usage(_there(target)).free
        if need > free:
            raise ArchiveError(
                f"'{archive}' needs {need} bytes in '{target}', where {free} are free"
            )
        source.check([item for _, item in missing])
        os.makedirs(target, exist_ok=True)
        lock = os.path.join(target, ASIDE + ".lock")
        try:
            with locked(lock, f"another run unpacks to '{target}'"):
                missing = _missing(wanted, target)  # a run that has just ended may have written
                _write_all(source, missing, archive, target)
        except Busy as error:
            raise ArchiveError(f"'{archive}' is not unpacked: {error}; wait for it") from error
    lines = [f"{item.size}\t{path}\n" for path, item in wanted.items()]
    write_text(record, f"{os.path.getsize(archive)}\n" + "".join(lines))
    return Unpacked(len(wanted), len(missing))


def _missing(wanted: dict, target: str) -> list:
    """The (path, Item) pairs of what is not there yet, in the archive's order."""
    missing = [
        (path, item) for path, item in wanted.items() if not _is_there(target, path, item.size)
    ]
    return sorted(missing, key=lambda pair: pair[1].offset)


def _there(folder: str) -> str:
    """The folder, or the nearest above it that exists."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _write_all(source, missing: list, archive: str, target: str) -> None:
    for name in os.listdir(target):  # of killed runs: no other one is at work
        path = os.path.join(target, name)
        if name.startswith(ASIDE) and os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
    folders, aside = _Folders(target), tempfile.mkdtemp("", ASIDE + "-", target)
    try:
        for path, item in missing:
            folders.make(os.path.dirname(path), archive, item)
            _write(source, item, os.path.join(target, path), os.path.join(aside, "file"))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_there(target: str, path: str, size: int) -> bool:
    path = os.path.join(target, path)
    return not os.path.islink(path) and os.path.isfile(path) and os.path.getsize(path) == size


def _recorded(record: str, archive: str) -> Optional[list]:
    """The (path, size) pairs of the list that an earlier run left, if it was of this archive."""
    try:
        with open(record, encoding="utf-8") as file:
            size, *lines = file.read().splitlines()
        pairs = [line.split("\t", 1) for line in lines]
        return (
            [(path, int(size)) for size, path in pairs]
            if int(size) == os.path.getsize(archive)
            else None
        )
    except (OSError, ValueError):
        return None


def _plan(items, archive: str, place: Place) -> dict:
    """{path below the target: Item} of what is wanted; of two members of one name the last."""
    wanted: dict[str, Item] = {}
    for item in items:
        # All names are checked: an archive with one bad member is not to be trusted with others.
        parts = safe_parts(item.name, archive)
        path = place("/".join(parts)) if parts else None
        if not path or item.kind == "folder":
            continue
        if item.kind != "file":
            raise ArchiveError(
                f"'{archive}' holds {shown(item.name)}, a {item.kind}; only plain "
                "files and folders are unpacked"
            )
        wanted[path] = item
    if not wanted:
        raise ArchiveError(
            f"'{archive}' holds none of the files that are looked for in it; is it "
            "another archive of that name?"
        )
    for path in wanted:
        parent = os.path.dirname(path)
        while parent:
            if parent in wanted:
                raise ArchiveError(f"'{archive}' holds {shown(parent)} as a file and as a folder")
            parent = os.path.dirname(parent)
    return wanted


class _Folders:
    """Makes folders below the target, and sees to it that none of them leads out of it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._root = os.path.realpath(target)
        self._known: set[str] = set()

    def make(self, folder: str, archive: str, item: Item) -> None:
        if folder in self._known:
            return
        path = os.path.join(self._target, folder)
        real = os.path.realpath(path)
        if real != self._root and not real.startswith(os.path.join(self._root, "")):
            raise ArchiveError(
                f"'{archive}': {shown(item.name)} would be written to '{real}', for "
                f"a link in '{self._target}' leads there; remove the link"
            )
        os.makedirs(path, exist_ok=True)
        self._known.add(folder)


def _write(source, item: Item, path: str, aside: str) -> None:
    """Write one member; what is read is checked against the size that was announced."""
    with open(aside, "wb") as file:
        written = 0
        for block in source.blocks(item):
            file.write(block)
            written += len(block)
    source.check_size(item, written)
    os.replace(aside, path)


def fetch(archive: Archive, folder: str, target: str, place: Place, report: Report) -> bool:
    """Unpack ``archive`` from the folder of archives; False and a problem when it cannot be."""
    path = os.path.join(folder, archive.file)
    if os.path.islink(target):
        report.note(
            f"{target} is a link to '{os.path.realpath(target)}', so {archive.file} is not "
            "unpacked there; remove the link if it should be"
        )
        return True
    if not os.path.isfile(path):
        report.problem(
            f"no '{archive.file}' in '{folder}'{_hint(folder, archive.file)}: get "
            f"{archive.what} from {archive.home}, put it there as it is, and run this "
            "again"
        )
        return False
    size = os.path.getsize(path)
    print(f"unpacking {archive.file} ({size / 1e6:.0f} MB) to {target}", flush=True)
    try:
        done = unpack(path, target, place)
    except ArchiveError as error:
        report.problem(f"{error}{_checksum(path, archive.md5)}")
        return False
    except OSError as error:
        report.problem(f"cannot unpack '{path}' to '{target}': {error}")
        return False
    report.did(f"{archive.file}: {done.files} files in {target}, {done.written} of them new")
    return True


def obtain(
    archive: Archive,
    archives: str,
    source: str,
    target: str,
    place: Place,
    parts: tuple[str, ...],
    option: str,
    report: Report,
) -> str:
    """``target`` with a dataset in it, linked to the user's ``source`` or unpacked; "" if neither.

    ``archives`` is the folder of archives, if the user has one; ``parts`` must be in the dataset;
    ``option`` is how ``source`` is given.
    """
    there = all(os.path.exists(os.path.join(target, part)) for part in parts)
    have = os.path.isfile(os.path.join(archives, archive.file))
    if archives and not source and (have or not there):
        if not fetch(archive, archives, target, place, report):
            return ""
    home = f"{archive.what} ({archive.file}), from {archive.home}"
    return link(source, target, parts, home, option, report)


def _hint(folder: str, file: str) -> str:
    """What lies in the folder under a similar name: unfinished or renamed downloads."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return " (there is no such folder)"
    stem = file.split(".")[0].lower()
    near = [name for name in names if name.lower().startswith(stem)]
    if not near:
        return ""
    return (
        f"; '{near[0]}' is there: if it is the whole file under another name, rename it, if "
        "the download is unfinished: continue it"
    )


def _checksum(path: str, expected: str) -> str:
    """Whether a file that could not be unpacked is the published one."""
    if not expected:
        return ""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() == expected:
        return ""
    return (
        f" (its MD5 is {digest.hexdigest()}, that of the published file {expected}: the "
        "download is damaged, get it again)"
    )
