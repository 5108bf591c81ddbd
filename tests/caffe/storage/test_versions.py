"""When numbers may have changed, and what is derived from them."""

import pytest
from six_numbers import SHAPE, full, on

from caffe.device import current
from caffe.storage import Storage


@pytest.mark.parametrize("write", ["array", "write", "touch", "zero"])
def test_version_changes_with_every_write(device, write):
    s = Storage(6)
    s.write(full(1))
    before = s.version()
    assert s.version() == before
    if write == "array":
        s.array(SHAPE)
    elif write == "write":
        s.write(full(2))
    elif write == "touch":
        s.tensor(SHAPE).add_(1)
        s.touch()
    else:
        s.zero()
    assert s.version() != before


def test_nothing_is_cached_while_an_array_is_alive(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    made = []
    for _ in range(2):
        s.cached("sum", lambda: made.append(1))
    assert len(made) == 2
    del kept
    for _ in range(2):
        s.cached("sum", lambda: made.append(1))
    assert len(made) == 3


def test_what_is_derived_belongs_to_a_device(pretend):
    s = Storage(6)
    for name in ("pretend0", "pretend1", "cpu", "mirror", "pretend0"):
        on(name)
        if name == "pretend0":
            s.write(full(1))
        double = s.cached("double", lambda: s.tensor(SHAPE) * 2)
        assert double.device == current().torch_device
        assert s.cached("double", lambda: None) is double


def test_no_two_storages_have_the_same_version():
    """A blob may be given another one's memory; what was derived from its own is then stale."""
    a, b = Storage(3), Storage(3)
    seen = [a.version(), b.version()]
    for s in (a, b, b, a):
        s.array((3,))[...] = 1
        seen.append(s.version())
    assert len(set(seen)) == len(seen)
