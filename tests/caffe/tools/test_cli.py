"""The command `caffe`: dispatch, messages, exit statuses, and each command on a small net."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe import cli, glog
from caffe.proto import caffe_pb2
from caffe.tools import brew, upgrade

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" 
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "extra" type: "Power" bottom: "t" top: "extra" include { stage: "more" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 display: 1 snapshot_prefix: "snap"
solver_mode: CPU
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glog._state, "level", 0)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def call(line):
    return cli.main(line.split())


def messages(capfd):
    return [
        re.sub(r"^[IWEF]\S+ \S+ +\d+ \S+\] ?", "", line)
        for line in capfd.readouterr().err.splitlines()
    ]


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
def test_precision_and_determinism_are_set_before_a_net_is_made(line, folder, capfd):
    try:
        call(line + " -precision bf16 -deterministic -iterations 1")
        assert (caffe.precision(), caffe.deterministic()) == ("bf16", True)
        call(line + " -iterations 1")
        assert (caffe.precision(), caffe.deterministic()) == ("fp32", False)
    finally:
        caffe.set_precision("fp32")
        caffe.set_deterministic(False)


def test_several_gpus_go_to_their_processes(monkeypatch):
    calls = []
    monkeypatch.setattr("caffe.parallel.train_on", lambda *a, **k: calls.append((a, k)) or 7)
    assert call("train -solver solver.prototxt -gpu 0,1 -weights a,b -sigint_effect none") == 7
    (ids, param, snapshot, weights), rest = calls[0]
    assert (ids, param.net, snapshot, weights) == ([0, 1], "net.prototxt", "", ["a", "b"])
    assert (rest["sigint_effect"], rest["sighup_effect"]) == ("none", "snapshot")


def test_train_resume_and_score(folder, capfd):
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


def test_stages_reach_the_nets(capfd):
    for command in ("train -solver solver.prototxt", "time -model net.prototxt -iterations 1"):
        assert call(command) == 0
        assert "Creating Layer extra" not in messages(capfd)
        assert call(command + " -stage=other,more") == 0
        assert "Creating Layer extra" in messages(capfd)


def test_weights_replace_those_of_the_solver(folder, capfd):
    assert call("train -solver solver.prototxt") == 0
    (folder / "two.prototxt").write_text(SOLVER + 'weights: "absent.caffemodel"')
    capfd.readouterr()
    assert call("train -solver two.prototxt -weights snap_iter_3.caffemodel") == 0
    assert [m for m in messages(capfd) if m.startswith("Finetuning")] == [
        "Finetuning from snap_iter_3.caffemodel"
    ]


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


def test_device_query_without_gpu(capfd):
    assert call("device_query") == 0
    assert messages(capfd) == ["Querying GPUs "]


def test_the_log_goes_to_a_file_too(folder, capfd):
    assert call("train -solver solver.prototxt --log_dir=. --logtostderr=1") == 0
    files = [name for name in os.listdir() if ".log.INFO." in name]
    assert len(files) == 1 and os.readlink("caffe.INFO") == files[0]
    text = (folder / files[0]).read_text()
    assert text.startswith("Log file created at: ")
    assert text.split("threadid file:line] msg\n")[1] == capfd.readouterr().err


def test_quiet(capfd):
    assert call("train -solver solver.prototxt -minloglevel 1") == 0
    assert capfd.readouterr().err == ""


def test_parse_log_reads_what_train_writes(folder, capfd):
    assert call("train -solver solver.prototxt") == 0
    (folder / "log").write_text(capfd.readouterr().err)
    assert call("parse_log log .") == 0
    rows = (folder / "log.train").read_text().splitlines()
    assert rows[0] == "NumIters,Seconds,LearningRate,loss" and len(rows) == 4
    assert [row.split(",")[2] for row in rows[1:]] == ["0.1"] * 3


V1 = """name: "old" input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { name: "r" type: RELU bottom: "x" top: "y" }"""


def test_upgrade_net_text_and_binary(folder, capfd):
    (folder / "old").write_text(V1)
    assert upgrade.net_proto_text(["old", "new"]) == 0
    new = text_format.Parse((folder / "new").read_text(), caffe_pb2.NetParameter())
    assert [layer.type for layer in new.layer] == ["Input", "ReLU"] and not new.layers
    assert messages(capfd)[-1] == "Wrote upgraded NetParameter text proto to new"
    old = text_format.Parse(V1, caffe_pb2.NetParameter())
    (folder / "old.bin").write_bytes(old.SerializeToString())
    assert upgrade.net_proto_binary(["old.bin", "new.bin"]) == 0
    assert caffe_pb2.NetParameter.FromString((folder / "new.bin").read_bytes()) == new
    capfd.readouterr()
    assert upgrade.net_proto_text(["new", "again"]) == 0
    assert messages(capfd) == [
        "File already in latest proto format: new",
        "Wrote upgraded NetParameter text proto to again",
    ]


def test_upgrade_solver_changes_the_type_alone(folder):
    (folder / "old").write_text('net: "x" solver_type: ADAGRAD')
    assert upgrade.solver_proto_text(["old", "new"]) == 0
    new = text_format.Parse((folder / "new").read_text(), caffe_pb2.SolverParameter())
    assert new == caffe_pb2.SolverParameter(net="x", type="AdaGrad")


def test_an_upgrade_that_drops_a_field_is_written_and_gives_1(folder, capfd):
    (folder / "old").write_text('layers { layer { name: "r" type: "relu" stride: 2 } top: "y" }')
    assert upgrade.net_proto_text(["old", "new"]) == 1
    lines = messages(capfd)
    assert any(line.endswith("Unknown parameter stride for layer type relu") for line in lines)
    assert "Encountered error(s) while upgrading prototxt; see details above." in lines
    assert 'type: "ReLU"' in (folder / "new").read_text()


def test_upgrade_statuses(folder, capfd):
    (folder / "bad").write_text("layer {")
    (folder / "mixed").write_text('layers { name: "a" type: RELU } layer { name: "b" }')
    (folder / "bad.bin").write_bytes(b"\x0a\xff")
    assert upgrade.net_proto_text(["one"]) == 1
    assert messages(capfd)[-1].startswith("Usage: upgrade_net_proto_text ")
    assert upgrade.net_proto_text(["bad", "out"]) == 2
    assert messages(capfd)[-1].startswith("Failed to parse input text file as NetParameter: bad")
    assert upgrade.net_proto_binary(["bad.bin", "out"]) == 2
    assert upgrade.net_proto_text(["mixed", "out"]) == 1
    assert not (folder / "out").exists()


def test_draw_net(folder, monkeypatch):
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


@pytest.mark.slow
def test_python_dash_m():
    env = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(caffe.__file__)))
    done = subprocess.run(
        [sys.executable, "-m", "caffe", "-version"], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "caffe version 1.0.0\n", "")


def test_backward_of_every_layer_is_timed_whether_needed_or_not(monkeypatch):
    from caffe.net import Net

    seen = []
    monkeypatch.setattr(Net, "_backward_layer", lambda self, i: seen.append(i))
    assert call("time -model net.prototxt -iterations 1") == 0
    count = len(Net("net.prototxt", caffe.TRAIN)._layer_names)
    assert seen[-count:] == list(range(count))[::-1]
    assert np.all(np.diff(seen[-count:]) == -1)


def test_a_layer_without_a_gradient_is_timed(folder, capfd):
    (folder / "scored.prototxt").write_text(
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


def test_parse_log_of_a_file_that_is_not_there(folder, capfd):
    assert call("parse_log nothing.log .") == 1
    assert "cannot read the log nothing.log: No such file" in capfd.readouterr().err


def test_help_of_the_upgrade_tools(capfd):
    assert call("upgrade_net_proto_text -help") == 0
    assert "Usage: upgrade_net_proto_text [--fix-crops] " in capfd.readouterr().out
