"""What C makes is let go of once, and what it cannot make is an error."""

import ctypes
import gc

import pytest

from caffe import native
from caffe.native.handle import Handle

FREED = []


class Kernels:
    """Stands in for the library: makes the number that it is given."""

    @staticmethod
    def make(number):
        return number

    @staticmethod
    def free(address):
        FREED.append(address.value)


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    FREED.clear()
    monkeypatch.setattr(native, "needed", Kernels)


def test_what_was_made_is_let_go_of_with_the_last_owner():
    handle = Handle(MemoryError(), "make", 7, free="free")
    assert isinstance(handle.address, ctypes.c_void_p) and handle.address.value == 7
    other = handle
    del handle
    gc.collect()
    assert not FREED
    del other
    gc.collect()
    assert FREED == [7]


def test_nothing_made_is_the_failure_and_nothing_is_let_go_of():
    with pytest.raises(KeyError, match="no such thing"):
        Handle(KeyError("no such thing"), "make", None, free="free")
    gc.collect()
    assert not FREED
