"""What the images' entry point makes of a command."""

import importlib.util
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_spec = importlib.util.spec_from_file_location(
    "entrypoint", os.path.join(ROOT, "docker", "entrypoint.py")
)
entrypoint = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(entrypoint)


def arguments_of(*command, gpu=False):
    return entrypoint.command_line(list(command), gpu)[1:]


def test_the_scripts_of_the_checkout_are_called_by_name():
    assert arguments_of("infer", "a.jpg") == [os.path.join(ROOT, "infer.py"), "a.jpg"]
    solve = os.path.join(ROOT, "nets", "toy-fcn8s", "solve.py")
    assert arguments_of("solve", "toy-fcn8s", "--steps", "3") == [
        solve,
        "--steps",
        "3",
        "--out",
        "out",
    ]
    assert arguments_of("solve", "toy-fcn8s", "--out=x")[1:] == ["--out=x"]


def test_a_working_gpu_is_used_unless_another_is_named():
    assert arguments_of("infer", "a.jpg", gpu=True)[1:] == ["a.jpg", "--gpu", "0"]
    assert arguments_of("infer", "a.jpg", "--gpu", "1", gpu=True)[1:] == ["a.jpg", "--gpu", "1"]
    assert arguments_of("infer", "a.jpg", "--gpu=1", gpu=True)[1:] == ["a.jpg", "--gpu=1"]


@pytest.mark.parametrize(
    "command, received", [(["solve"], ""), (["solve", "voc-fcn9s"], "; received 'voc-fcn9s'")]
)
def test_an_unknown_experiment_names_the_known_ones(command, received):
    with pytest.raises(SystemExit) as raised:
        entrypoint.command_line(command, True)
    assert str(raised.value).startswith("solve: expected an experiment, one of camvid-fcn16s, ")
    assert str(raised.value).endswith(", voc-fcn8s-resnet50" + received)


def test_anything_else_is_executed_as_it_is():
    command = ["caffe", "time", "-model", "x"]
    assert entrypoint.command_line(command, True) == command


def test_without_a_gpu_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(entrypoint.glob, "glob", lambda pattern: [])
    monkeypatch.setattr(entrypoint.os.path, "exists", lambda path: False)
    assert "--gpus all" in entrypoint.gpu_problem()
