"""How ways are timed on a GPU, with pretended events."""

import pytest
import torch

from caffe.kernels import tuning


class Clock:
    """A GPU's queue: what is launched while it waits runs back to back afterwards."""

    def __init__(self):
        self.now, self.done, self.log = 0.0, 0.0, []

    def sleep(self, cycles):
        self.log.append("wait")
        self.done = max(self.done, self.now) + 2

    def run(self, host, device):
        self.now += host
        self.done = max(self.done, self.now) + device
        self.log.append("run")

    def event(self, enable_timing):
        clock = self

        class Event:
            def record(self):
                self.at = max(clock.done, clock.now)

            def synchronize(self):
                clock.now = self.at

            def elapsed_time(self, other):
                return other.at - self.at

        return Event()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(torch.cuda, "Event", clock.event)
    monkeypatch.setattr(torch.cuda, "_sleep", clock.sleep, raising=False)
    return clock


def test_a_ways_time_is_the_devices_not_the_hosts(clock, monkeypatch):
    """Two launches of 10 µs and one of 30: to launch takes the host 50 µs each."""

    def two():
        clock.run(0.05, 0.01)
        clock.run(0.05, 0.01)

    def one():
        clock.run(0.05, 0.03)

    assert tuning._seconds(two, first=True) == pytest.approx(0.02)
    assert tuning._seconds(one, first=False) == pytest.approx(0.03)
    assert clock.log.index("wait") == 2  # after the run that is not timed
    monkeypatch.delattr(torch.cuda, "_sleep")
    assert tuning._seconds(one, first=False) == pytest.approx(0.05)


def test_the_first_way_must_run_and_the_others_need_not(clock):
    def fails():
        raise RuntimeError("no such kernel")

    assert tuning._seconds(fails, first=False) == float("inf")
    with pytest.raises(RuntimeError, match="no such kernel"):
        tuning._seconds(fails, first=True)
