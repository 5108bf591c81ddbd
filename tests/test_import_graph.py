"""How the files outside the engine may import each other: no circles, each package alone."""

import os
import subprocess
import sys

from fcn_helpers import ROOT
from import_graph import circle, imported

#: Folders of code. The solve.py files that nets/make.py generates are scripts, not modules.
FOLDERS = ("", "data", "fcn", "layers", "nets", "papers")


def files():
    """{module: path}; layers/ is on the path, so its modules are called without it."""
    found = {}
    for folder in FOLDERS:
        for at, below, names in os.walk(os.path.join(ROOT, folder)):
            below[:] = [] if folder == "" or folder == "nets" else below
            for name in names:
                if not name.endswith(".py"):
                    continue
                path = os.path.join(at, name)
                parts = os.path.relpath(path, ROOT)[: -len(".py")].split(os.sep)
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                found[".".join(parts[parts[0] == "layers" :])] = path
    return found


FILES = files()
ALL = {name: imported(path, FILES) - {name} for name, path in FILES.items()}

# Each in a process of its own, forked once what it needs of others is loaded.
ALONE = """
import os, sys
import bootstrap, numpy, scipy.io, PIL.Image, caffe
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            __import__(name)
        except BaseException as error:
            print(f"import {name} alone: {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def room(name):
    """The folder of a module, or the module itself where its folder is the root or fcn/."""
    folder = os.path.relpath(os.path.dirname(FILES[name]), ROOT)
    single = folder in (".", "fcn") and not FILES[name].endswith("__init__.py")
    return name if single else folder


def test_no_two_files_import_each_other():
    assert len(ALL) > 120 and ALL["fcn.build"] >= {"fcn.catalog", "fcn.heads.draft"}
    found = circle(ALL)
    assert found is None, " → ".join(found)


def test_no_two_folders_import_each_other():
    arrows = {}
    for name, others in ALL.items():
        arrows.setdefault(room(name), set()).update(map(room, others))
    for at in arrows:
        arrows[at].discard(at)
    assert arrows["layers"] == {os.path.join("layers", "segdata")}
    found = circle(arrows)
    assert found is None, " → ".join(found)


def test_each_package_can_be_imported_alone():
    # setup.py is pip's, and needs setuptools, which BVLC Caffe's machines may lack.
    left_out = {"layers", ".", "setup"}
    names = sorted({room(name).replace(os.sep, ".") for name in FILES} - left_out)
    names = [name.replace("layers.", "") for name in names]
    assert "fcn.catalog" in names and "segdata" in names and "score" in names
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
