"""The log: severities, copies and where they end."""

import io
import re

import pytest

import caffe
from caffe import glog


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(glog, "_state", glog._State())
    glog.set_level(glog.INFO)


def say_all():
    glog.info("net", "one")
    glog.warning("net", "two")
    glog.error("upgrade_proto.hpp", "three\n")
    glog.fatal("net", "four")


def test_a_line_is_glogs_and_ends_once(capfd):
    say_all()
    lines = capfd.readouterr().err.splitlines()
    prefix = r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\.[ch]pp:\d+\] \w+"
    assert len(lines) == 4 and all(re.fullmatch(prefix, line) for line in lines)
    assert [line[0] for line in lines] == list("IWEF")
    assert " net.cpp:" in lines[0] and " upgrade_proto.hpp:" in lines[2]


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_set_level_leaves_out_what_is_below_but_never_the_fatal_line(level, capfd):
    glog.set_level(level)
    say_all()
    assert [line[0] for line in capfd.readouterr().err.splitlines()] == list("IWEF")[
        min(level, 3) :
    ]
    assert glog.is_on() == (level == 0) and glog.is_on(glog.ERROR) == (level <= 2)


def test_copied_to_takes_every_line_while_it_runs_and_none_after_an_error(capfd):
    stream = io.StringIO()
    with pytest.raises(KeyError), glog.copied_to(stream):
        glog.info("net", "inside")
        raise KeyError
    glog.info("net", "outside")
    logged = capfd.readouterr().err
    assert stream.getvalue() and stream.getvalue() in logged
    assert "outside" in logged and "outside" not in stream.getvalue()


def test_init_log_sets_the_level_once():
    caffe.init_log(2)
    assert not glog.is_on(glog.WARNING) and glog.is_on(glog.ERROR)
    with pytest.raises(caffe.Error, match="initialised only once"):
        caffe.init_log(0)
    assert not glog.is_on(glog.WARNING)


@pytest.mark.parametrize("value", ["1", "2", "none"])
def test_the_environment_sets_the_level_at_import(value, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", value)
    assert glog._State().level == (int(value) if value.isdigit() else 0)


def test_log_takes_strings(capfd):
    caffe.log("by the user")
    assert re.match(r"I.* pycaffe\.cpp:\d+\] by the user\n$", capfd.readouterr().err)
    with pytest.raises(TypeError, match="takes a string, got int"):
        caffe.log(3)
