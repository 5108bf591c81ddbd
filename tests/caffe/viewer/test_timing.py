"""The page of a net with weights and times."""

from drawn_net import read

import caffe
from caffe.cli import main


def test_weights_and_times(net, tmp_path):
    weights = str(tmp_path / "w.caffemodel")
    caffe.Net(net, caffe.TEST).save(weights)
    page = str(tmp_path / "net.html")
    assert main(["draw", "-html", page, net, "-weights", weights, "-time", "-iterations", "1"]) == 0
    text, boxes = read(page)
    facts = dict(boxes[1][0]["facts"])
    assert facts["forward"].endswith("ms") and "mean" in facts[""]
    assert "forward pass" in text and "share of the time" in text
