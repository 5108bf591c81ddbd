"""How the engine's files may import each other: each package alone, no circles, no upward steps.

What counts is what runs when a module is imported: imports inside functions and those for type
checkers alone do not.
"""

import subprocess
import sys
from pathlib import Path

import import_graph
import pytest
from import_graph import circle

import caffe

pytestmark = pytest.mark.slow

ROOT = Path(caffe.__file__).parent
FILES = {
    ".".join(("caffe", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): (
        path
    )
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py"]

# Below `caffe` a package is imported without the rest: `caffe` itself, which imports all, is empty.
ALONE = """
import sys, types
root = sys.argv[1]
for name in sys.argv[2:]:
    for loaded in [m for m in sys.modules if m.partition(".")[0] == "caffe"]:
        del sys.modules[loaded]
    if name != "caffe":
        empty = types.ModuleType("caffe")
        empty.__path__ = [root]
        sys.modules["caffe"] = empty
    try:
        __import__(name)
    except Exception as error:
        sys.exit(f"import {name} alone: {type(error).__name__}: {error}")
"""


def imported(name):
    """The engine's modules that a module imports, as it names them."""
    return import_graph.imported(FILES[name], FILES)


def folder(name):
    """What a module belongs to: its folder, or itself where it lies in the engine's own."""
    path = FILES[name]
    if path.parent == ROOT:
        return name
    return ".".join(("caffe", *path.relative_to(ROOT).parent.parts))


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) is None


def test_no_two_files_import_each_other():
    arrows = {name: imported(name) - {name} for name in FILES}
    assert len(arrows) > 100 and arrows["caffe.net"] >= {"caffe.net.wiring", "caffe.weights"}
    found = circle(arrows)
    assert found is None, " -> ".join(found)


def test_no_two_folders_import_each_other():
    """A package and the packages within it are one here: ``layer`` registers its extensions."""
    arrows = {}
    for name in FILES:
        if name != "caffe":
            here = folder(name)
            for other in map(folder, imported(name)):
                if not f"{other}.".startswith(f"{here}.") and not f"{here}.".startswith(
                    f"{other}."
                ):
                    arrows.setdefault(here, set()).add(other)
    found = circle(arrows)
    assert found is None, " -> ".join(found)


def test_each_package_can_be_imported_alone():
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(ROOT), *PACKAGES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_logging_and_vectors_stand_below_what_they_serve():
    """Every other file logs: a log that imported one of them would make a circle of all."""
    assert imported("caffe.glog") == {"caffe.errors", "caffe.rank"}
    assert imported("caffe.rank") == {"caffe.errors"}
    assert imported("caffe.vectors") == set()
