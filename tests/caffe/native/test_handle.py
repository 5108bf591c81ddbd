"""What C makes is let go of once, and what it cannot make is an error."""

import ctypes
import gc
import subprocess
import sys

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


def test_nothing_is_let_go_of_at_exit():
    """A thread that Python does not wait for may be in the middle of a pass."""
    script = (
        "from caffe import native; from caffe.native.handle import Handle\n"
        "class Kernels:\n"
        "    make = staticmethod(lambda number: number)\n"
        "    free = staticmethod(lambda address: print('freed', address.value))\n"
        "native.needed = lambda: Kernels\n"
        "dies, stays = (Handle(MemoryError(), 'make', n, free='free') for n in (1, 2))\n"
        "del dies\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "freed 1\n"), done.stderr


def test_nothing_made_is_the_failure_and_nothing_is_let_go_of():
    with pytest.raises(KeyError, match="no such thing"):
        Handle(KeyError("no such thing"), "make", None, free="free")
    gc.collect()
    assert not FREED
