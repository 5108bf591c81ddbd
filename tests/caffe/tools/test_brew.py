"""What the four commands of caffe share: device, precision, stages."""

import pytest
from brew_files import SOLVER, call, messages

import caffe

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_a_device_that_is_not_there_is_named_with_the_remedy(capfd, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert call("train -solver solver.prototxt -gpu 0") == 1
    assert "PyTorch sees no GPU" in messages(capfd)[-1]
    with open("solver.prototxt", "w") as stream:
        stream.write(SOLVER.replace("CPU", "GPU"))
    assert call("train -solver solver.prototxt") == 1
    assert "solver.prototxt says solver_mode: GPU" in messages(capfd)[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "train -solver solver.prototxt",
        "test -model net.prototxt -weights no",
        "time -model net.prototxt",
    ],
)
def test_precision_and_determinism_are_set_before_a_net_is_made(line, brew_folder, capfd):
    try:
        call(line + " -precision bf16 -deterministic -iterations 1")
        assert (caffe.precision(), caffe.deterministic()) == ("bf16", True)
        call(line + " -iterations 1")
        assert (caffe.precision(), caffe.deterministic()) == ("fp32", False)
    finally:
        caffe.set_precision("fp32")
        caffe.set_deterministic(False)


def test_stages_reach_the_nets(capfd):
    for command in ("train -solver solver.prototxt", "time -model net.prototxt -iterations 1"):
        assert call(command) == 0
        assert "Creating Layer extra" not in messages(capfd)
        assert call(command + " -stage=other,more") == 0
        assert "Creating Layer extra" in messages(capfd)
