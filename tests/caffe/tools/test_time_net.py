"""`caffe time`: every layer in both directions."""

import re

import numpy as np
import pytest
from brew_files import call, messages

import caffe

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_time_lists_every_layer_in_both_directions(capfd):
    assert call("time -model net.prototxt -iterations 2 -phase TEST") == 0
    lines = messages(capfd)
    named = [line for line in lines if "\t" in line]
    names = ["data", "t_data_1_split", "ip", "loss"]
    names = [name for name in names if any(line.split()[0] == name for line in named)]
    assert [line.split()[:2] for line in named] == [
        [name, way] for name in names for way in ("forward:", "backward:")
    ]
    assert named[0].startswith(f"{'data':>10}\tforward: ") and named[0].endswith(" ms.")
    assert {"data", "ip", "loss"} <= set(names)
    rest = [re.sub(r"[\d.e-]+ ms", "# ms", line) for line in lines if "\t" not in line]
    assert rest[rest.index("*** Benchmark begins ***") :] == [
        "*** Benchmark begins ***",
        "Testing for 2 iterations.",
        "Iteration: 1 forward-backward time: # ms.",
        "Iteration: 2 forward-backward time: # ms.",
        "Average time per layer: ",
        "Average Forward pass: # ms.",
        "Average Backward pass: # ms.",
        "Average Forward-Backward: # ms.",
        "Total Time: # ms.",
        "*** Benchmark ends ***",
    ]


def test_backward_of_every_layer_is_timed_whether_needed_or_not(monkeypatch):
    from caffe.net import Net

    seen = []
    monkeypatch.setattr(Net, "_backward_layer", lambda self, i: seen.append(i))
    assert call("time -model net.prototxt -iterations 1") == 0
    count = len(Net("net.prototxt", caffe.TRAIN)._layer_names)
    assert seen[-count:] == list(range(count))[::-1]
    assert np.all(np.diff(seen[-count:]) == -1)


def test_a_layer_without_a_gradient_is_timed(brew_folder, capfd):
    (brew_folder / "scored.prototxt").write_text(
        'layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param { '
        "shape { dim: 2 dim: 3 } shape { dim: 2 } } } "
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 4 weight_filler { value: 1 } } } "
        'layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "t" top: "a" } '
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "l" }'
    )
    assert call("time -model scored.prototxt -iterations 1 -phase TEST") == 0
    named = [line.split()[:2] for line in messages(capfd) if "\t" in line]
    assert ["accuracy", "backward:"] in named
