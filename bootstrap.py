"""What every script of the checkout does first: find the modules, and work from any directory.

    import os, sys
    sys.path.insert(0, <the repository root, relative to __file__>)
    import bootstrap

Importing it
- puts the repository root (`nets`, `solvers`, `data`, `surgery`, `score`) and `layers/` on the
  path; prototxts name their data layers as top-level modules (`module: "voc_layers"`);
- finds the engine: an installed `caffe`, ours or BVLC's, wins; the `src/` of this checkout is the
  fallback, and also displaces a package of that name that is neither;
- remembers the directory the user called from.

Then `user_path()` resolves what the user typed, and `enter()` changes to the repository root,
because the paths inside prototxts are relative to it. Modules that are imported, not run, need
neither.
"""

import importlib.machinery
import os
import shlex
import sys
from glob import glob

ROOT = os.path.dirname(os.path.abspath(__file__))
#: Where results and fetched weights go. Another folder than the checkout's where that is read-only,
#: as in the Docker images, or shared.
HOME = os.path.abspath(os.environ.get("FCN_HOME") or ROOT)
START = os.getcwd()  # before anything changes it: what the user's relative paths are relative to


def user_path(path: str) -> str:
    """An absolute path for one the user typed, `~` and relative paths included."""
    return os.path.normpath(os.path.join(START, os.path.expanduser(path)))


def shown(path: str) -> str:
    """A path as short as it can be told: relative to where the user is, if it lies below.

    Bytes of a name that are no UTF-8, which no terminal could be given, are told as numbers.
    """
    relative = os.path.relpath(path, START)
    told = path if relative.startswith(os.pardir) else relative
    return told.encode("utf-8", "backslashreplace").decode("utf-8")


def typed(path: str) -> str:
    """A path as it would be typed here: :func:`shown`, in quotes where a shell needs them."""
    return shlex.quote(shown(path))


def enter() -> None:
    """Work from the repository root from now on."""
    os.chdir(ROOT)


def _is_pycaffe(folder: str) -> bool:
    """Whether a package folder is BVLC's (a compiled `_caffe`) or ours (`layer/`, `net/`)."""
    compiled = glob(os.path.join(folder, "_caffe*.so")) + glob(os.path.join(folder, "_caffe*.pyd"))
    ours = all(os.path.exists(os.path.join(folder, name)) for name in ("layer", "net"))
    return bool(compiled) or ours


def _prepare() -> None:
    for folder in (os.path.join(ROOT, "layers"), ROOT):  # the root ends up first
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    if "caffe" in sys.modules:
        return
    # The path is searched without importing: a foreign `caffe` must not run. A folder without
    # `__init__.py` (a source tree of BVLC's, say) has no origin and counts as foreign too.
    spec = importlib.machinery.PathFinder.find_spec("caffe")
    if spec is None:
        # Editable installs may come through a finder of their own instead of the path.
        finders = [f for f in sys.meta_path if f is not importlib.machinery.PathFinder]
        spec = next((s for s in (_ask(f) for f in finders) if s is not None), None)
    if spec is None or spec.origin is None or not _is_pycaffe(os.path.dirname(spec.origin)):
        sys.path.insert(1, os.path.join(ROOT, "src"))
        sys.meta_path.append(_Advice())


class _Advice:
    """Asked last of all finders: where one of the engine's needs is not installed, says how."""

    NEEDS = ("PIL", "google", "numpy", "scipy", "torch")

    def find_spec(self, name, path=None, target=None):
        if name in self.NEEDS:
            raise ModuleNotFoundError(
                f"{sys.executable} lacks {name}. `make setup` installs everything into .venv, as "
                "make demo and make test do; then run .venv/bin/python, or activate it by "
                ". .venv/bin/activate",
                name=name,
            )
        return None


def _ask(finder):
    find = getattr(finder, "find_spec", None)
    return find("caffe", None, None) if find else None


_prepare()
