"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pathlib

import pytest

import bootstrap

ROOT = pathlib.Path(bootstrap.ROOT)
#: Where code is -> what the names of its modules begin with.
HOMES = {"src/caffe": "caffe", "fcn": "fcn", "data": "data", "layers/segdata": "segdata"}
FOUND = [
    ".".join([name, *path.relative_to(ROOT / home).with_suffix("").parts]).removesuffix(".__init__")
    for home, name in HOMES.items()
    for path in sorted((ROOT / home).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert len(FOUND) >= 10 and "caffe.net_spec" in FOUND


@pytest.mark.parametrize("name", FOUND)
def test_examples_print_what_they_say(name):
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.attempted and not done.failed
