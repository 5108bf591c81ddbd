"""The stopwatch of pycaffe."""

import time

import pytest

import caffe


def test_ms_is_the_time_between_start_and_stop():
    timer = caffe.Timer()
    timer.start()
    time.sleep(0.02)
    timer.stop()
    first = timer.ms
    assert 15 < first < 5000
    timer.stop()
    assert timer.ms == first


def test_reading_stops_and_a_second_start_measures_anew():
    timer = caffe.Timer()
    timer.start()
    time.sleep(0.02)
    first = timer.ms
    time.sleep(0.02)
    assert timer.ms == first
    timer.start()
    assert timer.ms < first


def test_never_started_is_0():
    assert caffe.Timer().ms == pytest.approx(0)
