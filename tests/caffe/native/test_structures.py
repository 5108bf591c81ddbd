"""Structures that cross to C are as large there: ctypes would not notice."""

import ctypes
import importlib
import pkgutil
import re

import native_maps
import pytest
import test_convolution_kernel

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

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


@pytest.mark.parametrize(
    ("structure", "name"),
    [pytest.param(*s, id=f"{s[0].__module__}.{s[0].__name__}") for s in _structures()],
)
def test_a_structure_is_as_large_in_c(structure, name):
    assert name, "its description does not begin with ``NAME`` in C"
    size = getattr(native.library(), f"kernels_size_of_{name}")  # CROSSES(name) makes it
    assert ctypes.sizeof(structure) == size()
