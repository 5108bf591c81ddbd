"""Structures that cross to C are laid out so there: ctypes would not notice."""

import ctypes
import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import native_maps
import pytest
import test_convolution_kernel

from caffe import native
from caffe.native.program import Map, Window

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

SOURCES = Path(native.__file__).parent / "c"

for module in pkgutil.iter_modules(native.__path__, "caffe.native."):
    if not module.name.split(".")[-1].startswith("_kernels"):
        importlib.import_module(module.name)


def _structures():
    """Every structure of the package with the name in C that its description begins with."""
    for found in ctypes.Structure.__subclasses__():
        if found.__module__.startswith("caffe."):
            name = re.match(r"``(\w+)`` in C", found.__doc__ or "")
            yield found, name and name[1]
    for module in (native_maps, test_convolution_kernel):
        yield from ((module.Map, "map"), (module.Finish, "finish"), (module.Window, "window"))


STRUCTURES = [pytest.param(*s, id=f"{s[0].__module__}.{s[0].__name__}") for s in _structures()]


@pytest.mark.parametrize(("structure", "name"), STRUCTURES)
def test_a_structure_is_as_large_in_c(structure, name):
    assert name, "its description does not begin with ``NAME`` in C"
    size = getattr(native.library(), f"kernels_size_of_{name}")  # CROSSES(name) makes it
    assert ctypes.sizeof(structure) == size()


@pytest.mark.parametrize(("structure", "name"), STRUCTURES)
def test_its_fields_lie_where_they_do_in_c(structure, name, in_c):
    assert list(_fields(structure)) == in_c[name]


def test_two_fields_that_changed_places_are_seen(in_c):
    class Swapped(ctypes.Structure):
        names = [name for name, _ in Map._fields_[1:5]]
        _fields_ = [
            Map._fields_[0],
            *((name, ctypes.c_int32) for name in reversed(names)),
            Map._fields_[5],
        ]

    assert list(_fields(Map)) == in_c["map"] != list(_fields(Swapped))
    assert ctypes.sizeof(Swapped) == ctypes.sizeof(Map)


def _fields(kind, name="", at=0):
    """(name, offset, size) of every field, those of structures in it as well.  An array of numbers
    is a window, or what a window begins with."""
    if issubclass(kind, ctypes.Structure):
        for inner, of in kind._fields_:
            yield from _fields(of, inner, at + getattr(kind, inner).offset)
    elif issubclass(kind, ctypes.Array):
        for i, (inner, of) in enumerate(Window._fields_[: kind._length_]):
            yield from _fields(of, inner, at + i * ctypes.sizeof(of))
    else:
        yield name, at, ctypes.sizeof(kind)


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    """{name: what _fields() tells} of the structures, as a compiler of C lays them out."""
    if not SOURCES.is_dir() or not shutil.which("gcc"):
        pytest.skip("needs gcc and the kernels' sources")
    texts = [path.read_text() for end in "hc" for path in sorted(SOURCES.glob(f"*.{end}"))]
    crossing = set(re.findall(r"^CROSSES\((\w+)\)", "\n".join(texts), re.MULTILINE))
    bodies = {
        name: re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
        for body, name in re.findall(r"typedef struct \{([^}]*)\} (\w+);", "\n".join(texts))
        if name in crossing
    }
    program = ["#include <stddef.h>", "#include <stdint.h>", "#include <stdio.h>"]
    program += [f"typedef struct {{{body}}} {name};" for name, body in bodies.items()]
    program.append("int main(void) {")
    for name in bodies:
        for path in _paths(name, bodies):
            numbers = f"offsetof({name}, {path}), sizeof((({name} *)0)->{path})"
            text = f"{name} {path.split('.')[-1]} %zu %zu"
            program.append(f'printf("{text}\\n", {numbers});')
    folder = tmp_path_factory.mktemp("fields")
    (folder / "fields.c").write_text("\n".join([*program, "return 0;", "}"]))
    subprocess.run(["gcc", "-o", folder / "fields", folder / "fields.c"], check=True)
    printed = subprocess.run([folder / "fields"], check=True, capture_output=True, text=True)
    found = {}
    for name, field, offset, size in map(str.split, printed.stdout.splitlines()):
        found.setdefault(name, []).append((field, int(offset), int(size)))
    return found


def _paths(name, bodies):
    """What the fields of a structure are called, in their order: ``field`` or ``inner.field``."""
    for declaration in bodies[name].split(";")[:-1]:
        kind, declared = re.fullmatch(r"\s*(?:const )?(\w+) (.*)", declaration, re.DOTALL).groups()
        for field in map(str.strip, declared.split(",")):
            if kind in bodies and not field.startswith("*"):
                yield from (f"{field}.{inner}" for inner in _paths(kind, bodies))
            else:
                yield field.lstrip("*")
