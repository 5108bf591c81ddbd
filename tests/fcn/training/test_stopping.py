"""A signal asks a run to stop, once: the next one does what it always does."""

import os
import signal

import pytest

from fcn.training.stopping import Stopping


@pytest.fixture(autouse=True)
def heard():
    """SIGTERM and SIGINT are counted, whatever pytest was started under."""
    came = []
    before = {s: signal.signal(s, lambda n, f: came.append(n)) for s in (2, 15)}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_the_second_is_the_usual_one(heard, number, capfd):
    stopping = Stopping()
    with stopping:
        assert stopping.signal is None
        os.kill(os.getpid(), number)
        assert stopping.signal == number and heard == []
        os.kill(os.getpid(), number)
    assert heard == [number]
    assert capfd.readouterr().err == "\nstopping after this step; again to stop at once\n"


def test_handlers_are_put_back(heard):
    with Stopping() as stopping:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM] and stopping.signal is None


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_nohup_stays_in_force():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stopping.signal is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
