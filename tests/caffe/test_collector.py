"""The search for cycles rests while PyTorch is loaded, and finds all garbage afterwards."""

import gc
import subprocess
import sys
import textwrap
import weakref

import pytest

from caffe import _collector


@pytest.fixture(autouse=True)
def nothing_is_frozen():
    """Whoever runs the tests may have frozen what was there."""
    before = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if before:
        gc.freeze()


class Knot:
    def __init__(self):
        self.itself = self


def test_what_was_made_meanwhile_is_old_and_is_found_once_it_is_garbage():
    with _collector.resting():
        assert not gc.isenabled()
        knot = Knot()
    assert gc.isenabled() and gc.get_freeze_count() == 0
    assert any(found is knot for found in gc.get_objects(generation=2))
    seen = weakref.ref(knot)
    del knot
    gc.collect()
    assert seen() is None


def test_it_stays_as_the_program_has_set_it():
    gc.disable()
    try:
        with _collector.resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ImportError), _collector.resting():
        raise ImportError
    assert gc.isenabled()


def test_what_the_program_froze_stays_frozen():
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with _collector.resting():
            pass
        assert gc.get_freeze_count() == count > 0
    finally:
        gc.unfreeze()


@pytest.mark.slow
@pytest.mark.parametrize(
    "use", ["caffe.Net", "from caffe import SGDSolver", "caffe.cli.main(['time', '-model', '-'])"]
)
def test_loading_pytorch_by_the_engine_searches_next_to_nothing(use):
    code = f"""
        import gc, sys, caffe, caffe.cli
        searched = []
        gc.callbacks.append(lambda phase, info: searched.append(phase == "start"))
        {use}
        print(sum(searched), "torch" in sys.modules, gc.isenabled())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    count, loaded, enabled = done.stdout.decode().split()[-3:]
    assert (loaded, enabled) == ("True", "True") and int(count) < 60, done.stderr
