"""`caffe test`: the mean of each output over the batches."""

import pytest
from brew_files import call, messages

import caffe

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_scores_are_the_means_of_the_batches(brew_folder, capfd):
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip"][0].data[...] = 0.5
    net.save("w.caffemodel")
    assert call("test -model net.prototxt -weights w.caffemodel -iterations 3") == 0
    # y = 3 * 0.5 of x = 1, t = 2: half the squared distance of the two numbers is 0.25.
    assert messages(capfd)[-6:] == [
        "Running for 3 iterations.",
        *(f"Batch {batch}, loss = 0.25" for batch in range(3)),
        "Loss: 0.25",
        "loss = 0.25 (* 1 = 0.25 loss)",
    ]


def test_the_phase_is_test_and_stages_are_heard(brew_folder, capfd):
    (brew_folder / "net.prototxt").write_text(
        'layer { name: "a" type: "DummyData" top: "a" include { phase: TRAIN } '
        "dummy_data_param { shape { dim: 1 } } } "
        'layer { name: "b" type: "DummyData" top: "b" include { phase: TEST stage: "x" } '
        "dummy_data_param { shape { dim: 1 } } }"
    )
    caffe.Net("net.prototxt", caffe.TEST, stages=["x"]).save("w.caffemodel")
    assert call("test -model net.prototxt -weights w.caffemodel -iterations 1 -stage x") == 0
    assert messages(capfd)[-2:] == ["Loss: 0", "b = 0"]
