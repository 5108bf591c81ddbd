"""The generated files are those of the table, and written the same by every engine."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fcn_helpers import ROOT, raised, read_net

from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.build import build
from fcn.prototxt import float_text, to_text
from nets import make


@pytest.mark.slow
def test_nothing_is_stale():
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "nets", "make.py"), "--check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=os.path.dirname(ROOT),
    )
    assert done.returncode == 0, done.stdout.decode()


def test_a_stale_file_is_found(tmp_path):
    made = {"a/one.prototxt": "x", "a/two.prototxt": "y"}
    before = os.getcwd()
    os.chdir(str(tmp_path))
    try:
        for folder in ("a", "nets", "solvers"):
            os.makedirs(folder)
        for path, content in (("a/one.prototxt", "x"), ("a/two.prototxt", "z")):
            with open(path, "w") as f:
                f.write(content)
        with open("solvers/gone.prototxt", "w") as f:
            f.write("")
        assert make.differing(made) == ["a/two.prototxt"]
        assert list(make.orphans(made)) == ["solvers/gone.prototxt"]
    finally:
        os.chdir(before)


def test_options_of_a_net_of_ones_own_do_not_go_alone(capsys):
    for option in (["--two-stream"], ["--at-once"], ["--head", "light"], ["--stride", "8"]):
        assert raised(SystemExit, make.main, option) == "2"
        assert "a net of your own needs --backbone" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    target = tmp_path / "taken"
    target.write_text("a file")
    before = os.getcwd()
    try:
        status = make.main(
            ["--backbone", "toy", "--classes", "2", "--stride", "8", "--out", str(target)]
        )
    finally:
        os.chdir(before)
    message = capsys.readouterr().err
    assert status == 1 and str(target) in message and message.count("\n") == 1, message
    assert target.read_text() == "a file"


def test_floats_are_the_shortest_that_read_back():
    for text in ("0.01", "1e-10", "1e-14", "0", "1", "0.0001", "0.99", "0.75", "100000", "-2.5"):
        assert float_text(np.float32(text)) == text
    third = float_text(np.float32(1) / np.float32(3))
    assert np.float32(third) == np.float32(1) / np.float32(3) and len(third) <= 11


@pytest.mark.slow
def test_text_reads_back():
    from google.protobuf import text_format

    for experiment in catalog.EXPERIMENTS:
        net = read_net(experiment, "train")
        assert text_format.Parse(to_text(net), caffe_pb2.NetParameter()) == net
    solver = caffe_pb2.SolverParameter(snapshot_prefix='a "quoted" \\ path', base_lr=0.1)
    assert text_format.Parse(to_text(solver), caffe_pb2.SolverParameter()) == solver
    for name in ("a\nb", "größe 데이터/7", "\x7f\t"):
        solver = caffe_pb2.SolverParameter(type=name)
        assert to_text(solver).isascii()
        assert text_format.Parse(to_text(solver), caffe_pb2.SolverParameter()) == solver


@pytest.mark.slow
def test_every_experiment_is_complete():
    for name, experiment in catalog.EXPERIMENTS.items():
        assert experiment.name == name
        for phase in make.PHASES:
            net = build(experiment, phase)
            types = [layer.type for layer in net.layer]
            assert ("SoftmaxWithLoss" in types) == (phase != "deploy")
            assert ("Dropout" in types) <= (phase != "deploy")
            assert net.layer[0].type == ("Input" if phase == "deploy" else "Python")


def test_small_nets_learn_what_they_should():
    for name in ("camvid-fcn8s", "toy-fcn8s"):
        for layer in read_net(name, "train").layer:
            rates = [(p.lr_mult, p.decay_mult) for p in layer.param]
            if layer.type == "BatchNorm":
                assert rates == [(0, 0)] * 3, layer.name
            elif layer.type == "Scale":
                assert rates == [(1, 0)] * 2 and layer.scale_param.bias_term, layer.name
            elif layer.type == "Deconvolution":
                param = layer.convolution_param
                assert rates == [(0, 1)] and param.group == param.num_output, layer.name
                assert param.weight_filler.type == "bilinear", layer.name


def test_unknown_experiment():
    text = raised(LookupError, catalog.experiment, "voc-fcn4s")
    assert "voc-fcn4s" in text and "voc-fcn8s" in text
