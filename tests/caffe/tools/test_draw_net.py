"""`caffe draw_net`: its flags reach the drawing."""

import pytest
from brew_files import call

import caffe

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_draw_net(brew_folder, monkeypatch):
    calls = []
    monkeypatch.setattr("caffe.draw.draw_net_to_file", lambda net, *rest: calls.append((net, rest)))
    assert call("draw_net net.prototxt net.svg --rankdir TB --phase TEST --display_lrm") == 0
    assert [layer.name for layer in calls[0][0].layer] == ["data", "ip", "extra", "loss"]
    assert calls[0][1] == ("net.svg", "TB", caffe.TEST, True)
    for wrong in (
        "net.prototxt net.svg --phase DEV",
        "net.prototxt net.svg --rankdir up",
        "net.prototxt",
    ):
        assert call("draw_net " + wrong) == 1
    assert len(calls) == 1
