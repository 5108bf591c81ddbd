"""The command `caffe`: dispatch, messages and exit statuses."""

import os
import re

import pytest
from brew_files import call

import caffe
from caffe import cli
from caffe.tools import brew

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_no_command_or_two_print_the_usage(capsys):
    for line in ("", "train test"):
        assert call(line) == 0
        out = capsys.readouterr().out
        assert out.startswith("caffe: command line brew\nusage: caffe <command> <args>\n")
        assert all(f"  {name} " in out for name in (*cli.BREW, *cli.TOOLS))
        assert all(f"    -{name} (" in out for name in brew.FLAGS)


def test_version(capsys):
    assert call("-version") == call("--version") == 0
    assert capsys.readouterr().out == "caffe version 1.0.0\n" * 2


def test_every_command_has_its_function():
    for tool in (*cli.BREW.values(), *cli.TOOLS.values()):
        path = os.path.join(os.path.dirname(caffe.__file__), "tools", tool.module + ".py")
        assert os.path.exists(path), path
        assert callable(cli._function(tool))


@pytest.mark.parametrize(
    "line, message",
    [
        ("bogus", "Unknown action: bogus"),
        ("tarin", r"Unknown action: tarin. Did you mean 'train'\?"),
        ("train -sovler x", "unknown command line flag 'sovler'.*Did you mean 'solver'"),
        ("train", "Need a solver definition to train"),
        ("train -solver no", "Could not open file no"),
        (
            "train -solver solver.prototxt -snapshot a -weights b",
            "Give a snapshot to resume training or weights to finetune but not both",
        ),
        ("train -solver solver.prototxt -sigint_effect halt", "Invalid signal effect 'halt'"),
        ("train -solver solver.prototxt -sighup_effect halt", "Invalid signal effect 'halt'"),
        ("train -solver solver.prototxt -gpu x", "-gpu takes different ids"),
        ("train -solver solver.prototxt -precision fp16", "-precision is one of fp32, tf32, bf16"),
        ("train -solver solver.prototxt -snapshot no.solverstate", "no.solverstate"),
        ("test", "Need a model definition to score"),
        ("test -model net.prototxt", "Need model weights to score"),
        ("test -model net.prototxt -weights no", "no"),
        ("test -model net.prototxt -weights w -iterations 0", "-iterations must be at least 1"),
        ("time", "Need a model definition to time"),
        ("time -model net.prototxt -phase test", 'phase must be "TRAIN" or "TEST"'),
        ("upgrade_net_proto_text no out", "File not found: no"),
    ],
)
def test_a_failure_is_one_message_and_status_1(line, message, capfd):
    assert call(line) == 1
    err = capfd.readouterr().err.splitlines()
    assert re.search(message, err[-1])
    assert err[-1].startswith(("F", "ERROR: "))
    assert sum(text.startswith(("F", "ERROR: ")) for text in err) == 1
