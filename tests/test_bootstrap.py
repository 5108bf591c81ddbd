"""Which `caffe` the scripts find, and what a path of the user's means."""

import os
import subprocess
import sys

from fcn_helpers import ROOT

SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import bootstrap
from importlib.util import find_spec
print(find_spec("caffe").origin)
print(bootstrap.user_path("a/../b"), bootstrap.shown(bootstrap.user_path("b")))
bootstrap.enter()
import os
print(os.getcwd(), bootstrap.user_path("b"))
print(find_spec("voc_layers").origin)
"""


def run(folder, *packages):
    """What the script prints when a package `caffe` of these files is found first."""
    for name in packages:
        path = os.path.join(str(folder), "found", "caffe", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write("raise SystemExit('a foreign package ran')\n")
    environment = dict(os.environ, PYTHONPATH=os.path.join(str(folder), "found"))
    text = subprocess.check_output(
        [sys.executable, "-c", SCRIPT.format(root=ROOT)], cwd=str(folder), env=environment
    )
    return text.decode().splitlines()


def test_a_foreign_caffe_does_not_win(tmp_path):
    wanted = os.path.join(ROOT, "src", "caffe", "__init__.py")
    assert run(tmp_path, "__init__.py", "something.py")[0] == wanted


def test_an_installed_engine_wins(tmp_path):
    engines = ("__init__.py", "_caffe.so"), ("__init__.py", "layer", "net")
    for number, files in enumerate(engines):
        folder = os.path.join(str(tmp_path), str(number))
        os.makedirs(folder)
        wanted = os.path.join(folder, "found", "caffe", "__init__.py")
        assert run(folder, *files)[0] == wanted


def test_paths_are_the_users(tmp_path):
    folder = os.path.realpath(str(tmp_path))
    _, paths, after, layers = run(folder)
    assert paths == "{} b".format(os.path.join(folder, "b"))
    assert after == "{} {}".format(ROOT, os.path.join(folder, "b"))
    assert layers == os.path.join(ROOT, "layers", "voc_layers.py")


def test_a_missing_package_says_what_to_do(tmp_path):
    """As in a Python where nothing is installed: -S leaves out site-packages."""
    done = subprocess.run(
        [sys.executable, "-S", os.path.join(ROOT, "infer.py"), "photo.jpg"],
        cwd=str(tmp_path),
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
    )
    last = done.stderr.decode().splitlines()[-1]
    assert done.returncode == 1 and "lacks" in last and "make setup" in last, last
