"""Which images a command line means, and where the results of each go."""

import glob
import os
from collections.abc import Sequence
from typing import NamedTuple

from segdata.images import ENDINGS

__all__ = ["STDIN", "VIDEOS", "InputError", "Job", "jobs"]

#: Endings of videos, which are taken from folders as well.
VIDEOS = tuple(".3gp .avi .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .webm .wmv".split())

#: In place of a path: one image on standard input.
STDIN = "-"

#: How the results' names end: in folders and patterns, such files are no images to label.
RESULTS = ("_label.png", "_overlay.jpg", "_side.jpg", "_overlay.mp4", "_side.mp4")


class InputError(ValueError):
    """The command line's images do not fit together; the message says what to do."""


class Job(NamedTuple):
    """An image, and what the paths of its results begin with."""

    path: str
    target: str

    @property
    def video(self) -> bool:
        return self.path.lower().endswith(VIDEOS)


def jobs(
    given: list[str], out: str, name: str = "stdin", results: Sequence[str] = ()
) -> tuple[list[Job], int]:
    """The Jobs of files, folders and patterns, and how many earlier results were left out.

    A folder means all images and videos below it, a pattern what it matches; inner folders are
    mirrored in ``out``. Where two would have results of one name, the folders above them are too,
    and where that does not tell them apart (a.jpg and a.png), the ending stays in the names.
    ``name`` is what results of STDIN are called; ``results`` are more files that the command will
    write. InputError where nothing is found, or where a result would replace one of the images.
    """
    if given == [STDIN]:
        return [Job(STDIN, os.path.join(out, name))], 0
    found: dict[str, tuple[str, str]] = {}
    own = {os.path.realpath(path) for path in results}
    left_out = 0  # found: real path: (path, its path below the folder that was pointed at)
    for text in given:
        paths, root = _expand(text)
        for path in paths:
            if path != text and (path.endswith(RESULTS) or os.path.realpath(path) in own):
                left_out += 1
            else:
                found.setdefault(os.path.realpath(path), (path, os.path.relpath(path, root)))
    if not found:
        raise InputError(f"nothing but earlier results (*{', *'.join(RESULTS)}) was found")
    paths = [path for path, _ in found.values()]
    names = [relative for _, relative in found.values()]
    if len({_stem(name) for name in names}) < len(names):
        top = os.path.commonpath([os.path.dirname(path) for path in paths])
        names = [os.path.relpath(path, top) for path in paths]
    stems = [_stem(name) for name in names]
    targets = [name if stems.count(stem) > 1 else stem for name, stem in zip(names, stems)]
    made = [Job(path, os.path.join(out, target)) for path, target in zip(paths, targets)]
    for path in [job.target + ending for job in made for ending in RESULTS] + list(results):
        if os.path.realpath(path) in found:
            raise InputError(
                f"a result would replace '{path}', which is to be labelled too; name another "
                "folder by --out"
            )
    return made, left_out


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def _expand(text: str) -> tuple[list[str], str]:
    """The files that one argument means, and the folder to which their results' names relate."""
    if os.path.isdir(text):
        paths = [
            os.path.join(base, name)
            for base, _, names in os.walk(text)
            for name in names
            if name.lower().endswith(ENDINGS + VIDEOS) and not name.startswith(".")
        ]
        if not paths:
            raise InputError(
                f"no images or videos in the folder '{text}' ({', '.join(ENDINGS + VIDEOS)})"
            )
        return sorted(paths), text
    if os.path.lexists(text) or not glob.has_magic(text):
        return [text], os.path.dirname(text)  # whether it is there, reading it will tell
    paths = sorted(path for path in glob.glob(text, recursive=True) if os.path.isfile(path))
    if not paths:
        raise InputError(f"no file matches '{text}'")
    fixed = text
    while glob.has_magic(fixed):
        fixed = os.path.dirname(fixed)
    return paths, fixed
