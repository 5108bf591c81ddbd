"""`caffe train`: resuming, finetuning, several GPUs."""

import pytest
from brew_files import SOLVER, call, messages

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_several_gpus_go_to_their_processes(monkeypatch):
    calls = []
    monkeypatch.setattr("caffe.parallel.train_on", lambda *a, **k: calls.append((a, k)) or 7)
    assert call("train -solver solver.prototxt -gpu 0,1 -weights a,b -sigint_effect none") == 7
    (ids, param, snapshot, weights), rest = calls[0]
    assert (ids, param.net, snapshot, weights) == ([0, 1], "net.prototxt", "", ["a", "b"])
    assert (rest["sigint_effect"], rest["sighup_effect"]) == ("none", "snapshot")


def test_train_resume_and_score(brew_folder, capfd):
    assert call("train -solver solver.prototxt") == 0
    lines = messages(capfd)
    assert lines[0] == "Use CPU."
    assert lines[-2:] == ["Optimization Done."] * 2 and "Starting Optimization" in lines
    with open("solver.prototxt", "w") as stream:
        stream.write(SOLVER.replace("max_iter: 3", "max_iter: 5"))
    assert call("train --solver=solver.prototxt --snapshot=snap_iter_3.solverstate") == 0
    lines = messages(capfd)
    assert "Resuming from snap_iter_3.solverstate" in lines
    assert any(line.startswith("Iteration 4 (") for line in lines)
    assert call("test -model net.prototxt -weights snap_iter_5.caffemodel -iterations 2") == 0
    lines = messages(capfd)
    scores = lines[lines.index("Running for 2 iterations.") :]
    value = scores[-1].split()[2]
    assert float(value) < 1.5  # the loss before training is 7.2
    assert scores == [
        "Running for 2 iterations.",
        f"Batch 0, loss = {value}",
        f"Batch 1, loss = {value}",
        f"Loss: {value}",
        f"loss = {value} (* 1 = {value} loss)",
    ]


def test_weights_replace_those_of_the_solver(brew_folder, capfd):
    assert call("train -solver solver.prototxt") == 0
    (brew_folder / "two.prototxt").write_text(SOLVER + 'weights: "absent.caffemodel"')
    capfd.readouterr()
    assert call("train -solver two.prototxt -weights snap_iter_3.caffemodel") == 0
    assert [m for m in messages(capfd) if m.startswith("Finetuning")] == [
        "Finetuning from snap_iter_3.caffemodel"
    ]
