"""Which `caffe` is this?  A clear word where two packages of that name meet.

The name `caffe` on PyPI belongs to another project, and Debian's python3-caffe installs BVLC's.
Whichever directory comes first on ``sys.path`` wins silently; so, at import, look whether another
one is there too, and say which one runs.  Silent about what nobody can want: BVLC's source without
a compiled core, and about another copy of this engine.
"""

from __future__ import annotations

import functools
import sys
import warnings
from pathlib import Path

from caffe._source_tree import lacks_core

__all__ = ["OtherCaffeWarning", "other_caffe", "own_version", "warn_of_other"]

DISTRIBUTION = "pycaffe-torch"


class OtherCaffeWarning(UserWarning):
    """Another package named `caffe` can be imported from this Python too.

    No ImportWarning, which Python hides unless it is asked.
    """


@functools.cache
def own_version() -> str:
    """The version of this engine's distribution; looked up once, which reads many folders."""
    from importlib import metadata  # takes 20 ms, which only who asks should pay

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "(source tree)"


def other_caffe(search_path: list[str] | None = None) -> Path | None:
    """The first other package or module `caffe` on the path, None where there is none."""
    own = Path(__file__).resolve().parent
    for entry in sys.path if search_path is None else search_path:
        base = Path(entry or ".") / "caffe"
        for candidate in (base / "__init__.py", base.with_suffix(".py")):
            try:
                found = candidate.is_file()
            except OSError:
                continue
            if found and candidate.resolve().parent != own and not _is_harmless(candidate.parent):
                return candidate
    return None


def _is_harmless(folder: Path) -> bool:
    return lacks_core(folder) or (folder / Path(__file__).name).is_file()


def warn_of_other() -> None:
    """Warn where :func:`other_caffe` finds one."""
    other = other_caffe()
    if other is not None:
        warnings.warn(
            f"another package named 'caffe' is on the path: {other}. This process uses "
            f"{Path(__file__).resolve().parent} ({DISTRIBUTION}); remove one of the two, or "
            "order sys.path, to be sure which one `import caffe` finds",
            OtherCaffeWarning,
            stacklevel=3,
        )
