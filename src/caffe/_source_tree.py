"""Lets an installed engine win over BVLC's source tree, which cannot run without its compiled core.

``caffe shim`` copies this file into a Python's site-packages, where a ``.pth`` file imports it when
Python starts.  It uses the standard library alone and loads nothing until somebody imports `caffe`.
Only where that would find BVLC's own files without ``_caffe.so`` does it step in, with one warning.
"""

import os
import sys
import warnings
from importlib.machinery import PathFinder

FOLDER = ""  # where the engine's package lies; filled in by `caffe shim`
CORES = (".so", ".pyd", ".dylib", ".py", ".pyc")


def lacks_core(package):
    """Whether a folder is BVLC's python/caffe without a compiled core."""
    try:
        names = os.listdir(package)
    except OSError:
        return False
    is_bvlc = "pycaffe.py" in names and "_caffe.cpp" in names
    return is_bvlc and not any(
        name.startswith("_caffe.") and name.endswith(CORES) for name in names
    )


class Finder:
    """Answers for `caffe` alone, and only where what lies on the path cannot run."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "caffe":
            return None
        found = PathFinder.find_spec(name)
        if found is None or not found.origin or not lacks_core(os.path.dirname(found.origin)):
            return None
        own = PathFinder.find_spec(name, [FOLDER])
        if own is not None and own.origin:
            warnings.warn(
                f"{os.path.dirname(found.origin)} is BVLC Caffe's source without its compiled "
                f"core: `import caffe` uses {os.path.dirname(own.origin)} (pycaffe-torch)",
                stacklevel=2,
            )
        return own


def install():
    """Be asked before the folders of sys.path are."""
    if not any(getattr(finder, "__module__", "") == __name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder)


if FOLDER:
    install()
