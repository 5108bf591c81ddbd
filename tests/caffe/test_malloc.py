"""Freed memory stays in the process, unless the user or the system says otherwise."""

import ctypes
import sys

import pytest

from caffe import _malloc


@pytest.fixture
def calls(monkeypatch):
    """What the C library is told."""
    told = {}
    library = type("Library", (), {})()
    library.mallopt = lambda what, value: told.setdefault(what, value) and 1
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CAFFE_KEEP_MEMORY", raising=False)
    return told


def test_both_thresholds_are_raised(calls):
    assert _malloc.keep_memory() is True
    assert calls == {-3: 1 << 30, -1: 2**31 - 1}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD


def test_the_environment_and_other_systems_leave_the_allocator_alone(calls, monkeypatch):
    monkeypatch.setenv("CAFFE_KEEP_MEMORY", "0")
    assert _malloc.keep_memory() is False
    monkeypatch.delenv("CAFFE_KEEP_MEMORY")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _malloc.keep_memory() is False and calls == {}


def test_a_library_without_the_setting(calls, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert _malloc.keep_memory() is False
